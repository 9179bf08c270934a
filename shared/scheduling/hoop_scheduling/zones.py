"""Local days and UTC offsets as integers, computed from the time zone database and cached.

Instants are epoch milliseconds, days are counted from 1970-01-01, zones are IANA names.
"""

import calendar
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

FIXED_UNITS = {"mins": MINUTE, "hours": HOUR}
"""Units of a fixed length; the length of days and longer units depends on the zone."""

_EPOCH = date(1970, 1, 1).toordinal()
_THURSDAY = 4
_CHUNK = 512 * DAY
_NOT_ZONES = {"localtime", "posixrules"}  # files beside the database that are no zones

Stretch = tuple[int, int, int]
"""`(from, to, offset)`: the instants of [from, to) share one UTC offset, in milliseconds."""


@cache
def zone_names() -> frozenset[str]:
    """Every name of the IANA database, links such as `US/Eastern` included."""
    return frozenset(available_timezones() - _NOT_ZONES)


def is_zone(name: str) -> bool:
    """Whether the IANA database has this name; the machine's own `localtime` is no zone."""
    return name in zone_names()


@cache
def zone_named(name: str) -> ZoneInfo:
    """The zone of that name; ValueError if the database has none."""
    if not is_zone(name):
        raise ValueError(f"no such time zone: {name!r}")
    return ZoneInfo(name)


def epoch_ms(moment: datetime) -> int:
    """An aware datetime as epoch milliseconds, rounded down."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def utc_datetime(instant: int, zone: str = "UTC") -> datetime:
    """Epoch milliseconds as an aware datetime in that zone."""
    utc = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
    return utc.astimezone(zone_named(zone))


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - _EPOCH


def day_name(day: int) -> str:
    """`2027-03-01`, of days since 1970-01-01."""
    return date.fromordinal(day + _EPOCH).isoformat()


def weekday(day: int) -> int:
    """0 is Sunday, as in `daysOfTheWeek`."""
    return (day + _THURSDAY) % 7


def local_day(instant: int, zone: str) -> int:
    """The day number of the instant's local date in that zone."""
    stretches = _stretches(zone, instant // _CHUNK)
    offset = next(offset for _, to, offset in stretches if instant < to)
    return (instant + offset) // DAY


def day_of(instant: int, zone: str) -> date:
    """The local date of the instant in that zone, by which daily limits count."""
    return date.fromordinal(local_day(instant, zone) + _EPOCH)


@lru_cache(maxsize=1 << 16)
def day_stretches(zone: str, day: int) -> tuple[Stretch, ...]:
    """The instants whose local date in that zone is that day, in order.

    One stretch on a usual day, two on a day on which the offset changes, none if the zone skipped it.
    """
    midnight = day * DAY
    found: list[Stretch] = []
    for chunk in range((midnight - DAY) // _CHUNK, (midnight + 2 * DAY) // _CHUNK + 1):
        for start, end, offset in _stretches(zone, chunk):
            begins, ends = max(start, midnight - offset), min(end, midnight + DAY - offset)
            if begins < ends:
                found.append((begins, ends, offset))
    return tuple(found)


def later(instant: int, count: float, unit: str, zone: str) -> int:
    """The instant `count` units later: minutes and hours in elapsed time, longer units in local time.

    A month later is the same day of the month, or its last; a wall time that the zone skips is
    interpreted with the offset before the gap, as Python's zoneinfo does.
    """
    if unit in FIXED_UNITS:
        return instant + round(count * FIXED_UNITS[unit])
    if unit == "months":
        return epoch_ms(_months_later(utc_datetime(instant, zone), round(count)))
    days = count * 7 if unit == "weeks" else count
    return _steadily_later(instant, days, zone) or epoch_ms(
        utc_datetime(instant, zone) + timedelta(days=days)
    )


def spans_at_most(days: int, start: int, end: int, zone: str) -> bool:
    """Whether [start, end) is so many days at most, by the zone's clocks or by elapsed time.

    So a month of 31 days is 31 days also where the clocks go back in it, and 31 times 24 hours are
    31 days also where they go forward.
    """
    return end <= max(start + days * DAY, later(start, days, "days", zone))


def _steadily_later(instant: int, days: float, zone: str) -> int | None:
    """`later` for whole days by integers; None near a change of the offset."""
    if days % 1:
        return None
    then = instant + int(days) * DAY
    before, after = _steady_offset(instant, zone), _steady_offset(then, zone)
    return None if before is None or after is None else then + before - after


def _steady_offset(instant: int, zone: str) -> int | None:
    """The offset that holds for a day on both sides of the instant."""
    for start, end, offset in _stretches(zone, instant // _CHUNK):
        if start + DAY <= instant < end - DAY:
            return offset
    return None


def _months_later(local: datetime, months: int) -> datetime:
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return local.replace(year=year, month=month + 1, day=min(local.day, last))


@lru_cache(maxsize=1 << 12)
def _stretches(zone: str, chunk: int) -> tuple[Stretch, ...]:
    """The stretches of one chunk of 512 days. No zone changes its offset twice within 24 hours."""
    info, first, last = zone_named(zone), chunk * _CHUNK, (chunk + 1) * _CHUNK
    found: list[Stretch] = []
    since, offset = first, _offset(info, first)
    for sample in range(first + DAY, last + DAY, DAY):
        if (after := _offset(info, sample)) != offset:
            change = _change(info, sample - DAY, sample)
            found.append((since, change, offset))
            since, offset = change, after
    found.append((since, last, offset))
    return tuple(stretch for stretch in found if stretch[0] < stretch[1])


def _change(info: ZoneInfo, before: int, after: int) -> int:
    """The first instant after the change of offset between the two, to the second."""
    old = _offset(info, before)
    while after - before > SECOND:
        middle = (before + after) // 2 // SECOND * SECOND
        if _offset(info, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(info: ZoneInfo, instant: int) -> int:
    offset = datetime.fromtimestamp(instant // SECOND, info).utcoffset()
    assert offset is not None
    return offset // timedelta(milliseconds=1)
