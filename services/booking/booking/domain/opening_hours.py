"""The opening hours of schedules: which days, dates and intervals are valid."""

import re
from collections.abc import Sequence
from datetime import date

from hoop_events.calendars import Interval, Schedule, ScheduleRule
from hoop_platform.errors import invalid
from hoop_scheduling.zones import is_zone

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d|24:00")
_DATE = re.compile(r"(19[7-9]\d|2[01]\d\d)-\d{2}-\d{2}", re.ASCII)


def valid_schedule(schedule: Schedule) -> Schedule:
    """The schedule with overlapping intervals of a rule joined.

    Refuses unknown zones and days, a day or date with two rules, and intervals that do not open
    before they close.
    """
    _check(schedule)
    rules = tuple(
        rule.model_copy(update={"intervals": _joined(rule.intervals)}) for rule in schedule.rules
    )
    return schedule.model_copy(update={"rules": rules})


def _check(schedule: Schedule) -> None:
    if not is_zone(schedule.timezone):
        raise invalid("timezone", "unknown_zone", "is no zone of the IANA database")
    seen: set[str | None] = set()
    for n, rule in enumerate(schedule.rules):
        if field := _invalid_field(rule):
            raise invalid(f"rules.{n}.{field}", "rules", "does not say when somebody is open")
        name = "day" if rule.type == "wday" else "date"
        if getattr(rule, name) in seen:
            raise invalid(f"rules.{n}.{name}", "duplicate", "has a rule already")
        seen.add(getattr(rule, name))
    if schedule.user_id is None and len(schedule.calendar_ids) > 1:
        raise invalid("calendarIds", "one_calendar", "a schedule without a user is of one calendar")


def _invalid_field(rule: ScheduleRule) -> str | None:
    if rule.type == "wday" and rule.day not in DAYS:
        return "day"
    if rule.type == "date" and not _is_date(rule.date or ""):
        return "date"
    if rule.day and rule.date:
        return "day" if rule.type == "date" else "date"
    return None if _opens_and_closes(rule.intervals) else "intervals"


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _opens_and_closes(intervals: Sequence[Interval]) -> bool:
    """Whether each interval opens before it closes."""
    return all(
        _CLOCK.fullmatch(one.from_)
        and _CLOCK.fullmatch(one.to)
        and _padded(one.from_) < _padded(one.to)
        for one in intervals
    )


def _joined(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """The intervals with overlapping ones joined, in order; unchanged if none overlap."""
    found: list[Interval] = []
    for one in sorted(intervals, key=lambda interval: _padded(interval.from_)):
        if found and _padded(one.from_) < _padded(found[-1].to):
            closes = max(found[-1].to, one.to, key=_padded)
            found[-1] = found[-1].model_copy(update={"to": closes})
        else:
            found.append(one)
    return tuple(found if len(found) < len(intervals) else intervals)


def _padded(clock: str) -> str:
    """`9:00` as `09:00`: in the order of time."""
    return clock.zfill(5)
