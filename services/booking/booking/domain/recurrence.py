"""Recurrence rules (RFC 5545) within bounds: read, checked, and only then turned into times."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.patches import Patch
from hoop_events.booking import Appointment
from hoop_platform.errors import Invalid, invalid

MOST_COUNTED = 24
"""The vendor's limit for COUNT."""
MOST_UNTIL = 53
"""So many occurrences may lie before UNTIL: those of a weekly year."""
LONGEST = timedelta(days=366)
"""How far UNTIL may lie ahead on a calendar without a booking horizon."""
FURTHEST = 3653
"""Days after the start in which all counted occurrences must lie."""

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
PARTS = ("FREQ", "COUNT", "UNTIL", "INTERVAL", "BYDAY", "BYMONTHDAY")
OTHER_PARTS = frozenset(
    [
        "BYSECOND",
        "BYMINUTE",
        "BYHOUR",
        "BYYEARDAY",
        "BYWEEKNO",
        "BYMONTH",
        "BYSETPOS",
        "WKST",
        "BYEASTER",
        "DTSTART",
    ]
)
"""Others are known to do more: named when they are refused."""
MOST_INTERVAL = 366

_NUMBER = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_UNTIL = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})Z)?", re.ASCII)


@dataclass(frozen=True)
class Rule:
    """A rule that was checked; `until` is a local date, or an instant."""

    text: str
    freq: str
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    week_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()


def rule_of(text: str) -> Rule:
    """Read a rule; what is not one of ours is 422 `rrule`, naming the part and what is allowed."""
    plain = text.strip().upper().removeprefix("RRULE:").removesuffix(";")
    parts = _parts(plain)
    freq = parts.get("FREQ", "")
    if freq not in FREQUENCIES:
        raise _wrong("FREQ", f"is one of {', '.join(FREQUENCIES)}", FREQUENCIES)
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise _wrong("COUNT", "or UNTIL must be there, and not both")
    for part, only in (("BYDAY", "WEEKLY"), ("BYMONTHDAY", "MONTHLY")):
        if part in parts and freq != only:
            raise _wrong(part, f"goes with FREQ={only} only")
    return Rule(
        text=plain,
        freq=freq,
        interval=_number("INTERVAL", parts, MOST_INTERVAL) or 1,
        count=_number("COUNT", parts, MOST_COUNTED),
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        week_days=tuple(sorted(map(WEEKDAYS.index, _list("BYDAY", parts, WEEKDAYS)))),
        month_days=tuple(sorted(map(int, _list("BYMONTHDAY", parts, _MONTH_DAYS)))),
    )


_MONTH_DAYS = tuple(str(day) for day in range(1, 32))


def rule_of_calendar(settings: Mapping[str, Any]) -> Rule | None:
    """What a calendar that books series (`enableRecurring`) makes of one that names no rule."""
    recurring = settings.get("recurring") or {}
    if not settings.get("enableRecurring") or not recurring.get("freq"):
        return None
    return rule_of(f"FREQ={recurring['freq']};COUNT={recurring.get('count') or 1}")


def check_rule(before: Appointment, patch: Patch) -> None:
    """A series keeps the rule it was made by, and what is none does not become one."""
    if patch.rrule is None:
        return
    if before.series is None or rule_of(patch.rrule).text != before.series.rrule:
        raise invalid("rrule", "immutable", "cannot be changed: book another series")


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if name not in PARTS or not equals:
            named = name if name in OTHER_PARTS else "a part"
            text = f"{named} is none of {', '.join(PARTS)}"
            raise invalid("rrule", "unknown_part", text, PARTS)
        if name in parts:
            raise _wrong(name, "is said twice")
        parts[name] = value
    return parts


def _number(name: str, parts: Mapping[str, str], most: int) -> int | None:
    if name not in parts:
        return None
    if not _NUMBER.fullmatch(parts[name]) or int(parts[name]) > most:
        raise _wrong(name, f"is a number from 1 to {most}")
    return int(parts[name])


def _list(name: str, parts: Mapping[str, str], allowed: tuple[str, ...]) -> list[str]:
    said = parts[name].split(",") if name in parts else []
    if not set(said) <= set(allowed) or len(set(said)) < len(said):
        raise _wrong(name, f"lists some of {allowed[0]} to {allowed[-1]}, each once", allowed)
    return said


def _until(text: str) -> date | datetime:
    found = _UNTIL.fullmatch(text)
    try:
        numbers = [int(part) for part in found.groups() if part is not None] if found else []
        if len(numbers) == 3:
            return date(*numbers)
        return datetime(*numbers, tzinfo=UTC)  # type: ignore[misc, arg-type]  # six numbers, or none
    except (TypeError, ValueError):
        raise _wrong("UNTIL", "is a date, 20270331, or an instant, 20270331T170000Z") from None


def _wrong(part: str, rule: str, allowed: tuple[str, ...] | None = None) -> Invalid:
    return invalid("rrule", part.lower(), f"{part} {rule}", allowed)


def starts(rule: Rule, start: datetime, *, zone: str, latest: datetime) -> list[datetime]:
    """When the occurrences start, in UTC: at the same time of the zone's clocks as the first.

    Days without that time (the clocks skip it), and months without that day, have none, and are
    not counted (RFC 5545, section 3.3.10). A time that the clocks repeat is taken the first time.
    UNTIL may lie at `latest` at most.
    """
    local = start.astimezone(ZoneInfo(zone))
    last = _last(rule, zone=zone)
    if last is not None and not start <= last <= latest:
        span = [start.isoformat(), latest.isoformat()]
        raise invalid("rrule", "until", "UNTIL lies between the start and the horizon", span)
    if next(_days(rule, local.date()), None) != local.date():
        raise invalid("rrule", "start", "startTime must be one of the days that the rule names")
    most = rule.count or MOST_UNTIL + 1
    found: list[datetime] = []
    near = takewhile(lambda day: (day - local.date()).days <= FURTHEST, _days(rule, local.date()))
    for day in near:
        moment = start if day == local.date() else at_clock(day, local.time(), zone)
        if len(found) == most or (last is not None and moment is not None and moment > last):
            break
        found += [moment] if moment is not None else []
    return _checked(rule, found)


def _checked(rule: Rule, found: list[datetime]) -> list[datetime]:
    if rule.count is not None and len(found) < rule.count:
        raise _wrong("COUNT", "reaches further than ten years")
    if rule.count is None and len(found) > MOST_UNTIL:
        raise _wrong("UNTIL", f"leaves more than {MOST_UNTIL} occurrences")
    return found


def _last(rule: Rule, *, zone: str) -> datetime | None:
    """The last instant at which an occurrence may start; of a date its last."""
    if rule.until is None or isinstance(rule.until, datetime):
        return rule.until
    midnight = datetime.combine(rule.until, time.max, ZoneInfo(zone))
    return midnight.replace(fold=1).astimezone(UTC)


def at_clock(day: date, clock: time, zone: str) -> datetime | None:
    """That day's instant, unless its clocks skip it."""
    local = datetime.combine(day, clock.replace(fold=0), ZoneInfo(zone))
    there = local.astimezone(UTC)
    back = there.astimezone(ZoneInfo(zone))
    return there if back.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def _days(rule: Rule, first: date) -> Iterator[date]:
    """The days of the rule from the first on, without end."""
    if rule.freq == "DAILY":
        for n in range(FURTHEST + 2):
            yield first + timedelta(days=n * rule.interval)
    elif rule.freq == "WEEKLY":
        yield from _weekly(rule, first)
    else:
        yield from _monthly(rule, first)


def _weekly(rule: Rule, first: date) -> Iterator[date]:
    monday = first - timedelta(days=first.weekday())
    wanted = rule.week_days or (first.weekday(),)
    for week in range(0, FURTHEST, rule.interval):
        for weekday in wanted:
            day = monday + timedelta(weeks=week, days=weekday)
            if day >= first:
                yield day


def _monthly(rule: Rule, first: date) -> Iterator[date]:
    wanted = rule.month_days or (first.day,)
    for month in range(first.month - 1, FURTHEST, rule.interval):
        for number in wanted:
            try:
                day = date(first.year + month // 12, month % 12 + 1, number)
            except ValueError:
                continue
            if day >= first:
                yield day
