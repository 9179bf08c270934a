"""Recurrence rules (RFC 5545) within bounds: parsed, checked, and expanded to start times."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.commands import AppointmentPatch
from hoop_events.booking import Appointment
from hoop_platform.errors import Invalid, invalid

MAX_COUNT = 24
"""The vendor's limit for COUNT."""
MAX_OCCURRENCES_UNTIL = 53
"""The most occurrences of a rule with UNTIL: a weekly one for a year."""
MAX_UNTIL = timedelta(days=366)
"""How far after the start UNTIL may lie, on a calendar without a booking horizon."""
MAX_DAYS = 3653
"""The number of days after the start within which all counted occurrences must lie."""

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
"""Other parts of RFC 5545: named in the refusal."""
MAX_INTERVAL = 366

_NUMBER = re.compile(r"[1-9]\d{0,2}", re.ASCII)
_UNTIL = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})Z)?", re.ASCII)


@dataclass(frozen=True)
class RecurrenceRule:
    """A checked rule; `until` is a local date, or an instant."""

    text: str
    freq: str
    interval: int = 1
    count: int | None = None
    until: date | datetime | None = None
    week_days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()


def parse_rule(text: str) -> RecurrenceRule:
    """Parse a rule; raises `Invalid` for `rrule`, naming the part and the allowed values."""
    plain = text.strip().upper().removeprefix("RRULE:").removesuffix(";")
    parts = _parts(plain)
    freq = parts.get("FREQ", "")
    if freq not in FREQUENCIES:
        raise _invalid_part("FREQ", f"is one of {', '.join(FREQUENCIES)}", FREQUENCIES)
    if ("COUNT" in parts) == ("UNTIL" in parts):
        raise _invalid_part("COUNT", "or UNTIL must be there, and not both")
    for part, only in (("BYDAY", "WEEKLY"), ("BYMONTHDAY", "MONTHLY")):
        if part in parts and freq != only:
            raise _invalid_part(part, f"goes with FREQ={only} only")
    return RecurrenceRule(
        text=plain,
        freq=freq,
        interval=_number("INTERVAL", parts, MAX_INTERVAL) or 1,
        count=_number("COUNT", parts, MAX_COUNT),
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        week_days=tuple(sorted(map(WEEKDAYS.index, _list("BYDAY", parts, WEEKDAYS)))),
        month_days=tuple(sorted(map(int, _list("BYMONTHDAY", parts, _MONTH_DAYS)))),
    )


_MONTH_DAYS = tuple(str(day) for day in range(1, 32))


def rule_of_calendar(settings: Mapping[str, Any]) -> RecurrenceRule | None:
    """The rule that a calendar with `enableRecurring` gives to a request without one; else None."""
    recurring = settings.get("recurring") or {}
    if not settings.get("enableRecurring") or not recurring.get("freq"):
        return None
    return parse_rule(f"FREQ={recurring['freq']};COUNT={recurring.get('count') or 1}")


def check_rule_unchanged(before: Appointment, patch: AppointmentPatch) -> None:
    """Refuse a patch that changes a series' rule, or gives a rule to a single appointment."""
    if patch.rrule is None:
        return
    if before.series is None or parse_rule(patch.rrule).text != before.series.rrule:
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
            raise _invalid_part(name, "is given twice")
        parts[name] = value
    return parts


def _number(name: str, parts: Mapping[str, str], maximum: int) -> int | None:
    if name not in parts:
        return None
    if not _NUMBER.fullmatch(parts[name]) or int(parts[name]) > maximum:
        raise _invalid_part(name, f"is a number from 1 to {maximum}")
    return int(parts[name])


def _list(name: str, parts: Mapping[str, str], allowed: tuple[str, ...]) -> list[str]:
    values = parts[name].split(",") if name in parts else []
    if not set(values) <= set(allowed) or len(set(values)) < len(values):
        raise _invalid_part(
            name, f"lists some of {allowed[0]} to {allowed[-1]}, each once", allowed
        )
    return values


def _until(text: str) -> date | datetime:
    found = _UNTIL.fullmatch(text)
    try:
        numbers = [int(part) for part in found.groups() if part is not None] if found else []
        if len(numbers) == 3:
            return date(*numbers)
        return datetime(*numbers, tzinfo=UTC)  # type: ignore[misc, arg-type]  # six numbers, or none
    except (TypeError, ValueError):
        raise _invalid_part(
            "UNTIL", "is a date, 20270331, or an instant, 20270331T170000Z"
        ) from None


def _invalid_part(part: str, rule: str, allowed: tuple[str, ...] | None = None) -> Invalid:
    return invalid("rrule", part.lower(), f"{part} {rule}", allowed)


def starts(rule: RecurrenceRule, start: datetime, *, zone: str, latest: datetime) -> list[datetime]:
    """The starts of the occurrences in UTC, each at the same local time as the first.

    Days on which the clocks skip that time, and months without that day, have no occurrence and are
    not counted (RFC 5545, section 3.3.10). Of a time that the clocks repeat, the first counts.
    Raises `Invalid` when UNTIL lies after `latest`, or `start` is none of the rule's days.
    """
    local = start.astimezone(ZoneInfo(zone))
    last = _last(rule, zone=zone)
    if last is not None and not start <= last <= latest:
        span = [start.isoformat(), latest.isoformat()]
        raise invalid("rrule", "until", "UNTIL lies between the start and the horizon", span)
    if next(_days(rule, local.date()), None) != local.date():
        raise invalid("rrule", "start", "startTime must be one of the days that the rule names")
    limit = rule.count or MAX_OCCURRENCES_UNTIL + 1
    found: list[datetime] = []
    near = takewhile(lambda day: (day - local.date()).days <= MAX_DAYS, _days(rule, local.date()))
    for day in near:
        moment = start if day == local.date() else local_instant(day, local.time(), zone)
        if len(found) == limit or (last is not None and moment is not None and moment > last):
            break
        found += [moment] if moment is not None else []
    return _checked(rule, found)


def _checked(rule: RecurrenceRule, found: list[datetime]) -> list[datetime]:
    if rule.count is not None and len(found) < rule.count:
        raise _invalid_part("COUNT", "reaches further than ten years")
    if rule.count is None and len(found) > MAX_OCCURRENCES_UNTIL:
        raise _invalid_part("UNTIL", f"leaves more than {MAX_OCCURRENCES_UNTIL} occurrences")
    return found


def _last(rule: RecurrenceRule, *, zone: str) -> datetime | None:
    """The last instant at which an occurrence may start: UNTIL, or the end of its date."""
    if rule.until is None or isinstance(rule.until, datetime):
        return rule.until
    midnight = datetime.combine(rule.until, time.max, ZoneInfo(zone))
    return midnight.replace(fold=1).astimezone(UTC)


def local_instant(day: date, clock: time, zone: str) -> datetime | None:
    """The instant of this local time; None when the zone's clocks skip it on that day."""
    local = datetime.combine(day, clock.replace(fold=0), ZoneInfo(zone))
    instant = local.astimezone(UTC)
    back = instant.astimezone(ZoneInfo(zone))
    return instant if back.replace(tzinfo=None) == local.replace(tzinfo=None) else None


def _days(rule: RecurrenceRule, first: date) -> Iterator[date]:
    """The days of the rule, from `first` on; without end except for the bounds above."""
    if rule.freq == "DAILY":
        for n in range(MAX_DAYS + 2):
            yield first + timedelta(days=n * rule.interval)
    elif rule.freq == "WEEKLY":
        yield from _weekly(rule, first)
    else:
        yield from _monthly(rule, first)


def _weekly(rule: RecurrenceRule, first: date) -> Iterator[date]:
    monday = first - timedelta(days=first.weekday())
    wanted = rule.week_days or (first.weekday(),)
    for week in range(0, MAX_DAYS, rule.interval):
        for weekday in wanted:
            day = monday + timedelta(weeks=week, days=weekday)
            if day >= first:
                yield day


def _monthly(rule: RecurrenceRule, first: date) -> Iterator[date]:
    wanted = rule.month_days or (first.day,)
    for month in range(first.month - 1, MAX_DAYS, rule.interval):
        for number in wanted:
            try:
                day = date(first.year + month // 12, month % 12 + 1, number)
            except ValueError:
                continue
            if day >= first:
                yield day
