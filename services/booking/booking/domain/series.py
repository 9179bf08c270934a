"""Series: the ids of their occurrences, what becomes of each, and moving all of them at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from booking.domain.calendars import Calendar
from booking.domain.patches import Newcomer, Patch
from booking.domain.recurrence import LONGEST, Rule, at_clock, rule_of, rule_of_calendar, starts
from hoop_events.booking import Appointment, Series
from hoop_platform.errors import invalid
from hoop_platform.ids import row_id
from hoop_scheduling.zones import epoch_ms, utc_datetime

Became = Literal["booked", "moved", "waiting", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """What became of an occurrence that the rule starts at `start`; skipped: there is no `state`."""

    start: datetime
    outcome: Became
    state: Appointment | None = None
    reason: str | None = None


def occurrence_id(master: str, start: datetime, length: timedelta) -> str:
    """An occurrence's id in the API."""
    return f"{master}_{epoch_ms(start)}_{int(length.total_seconds())}"


def rule_for(calendar: Calendar, patch: Patch) -> Rule | None:
    """The rule that the client names, else the calendar's; None: it is one appointment."""
    if patch.rrule is not None:
        return rule_of(patch.rrule)
    return None if len(calendar.hosts) > 1 else rule_of_calendar(calendar.settings)


def times_of(rule: Rule, calendar: Calendar, patch: Patch, *, now: datetime) -> list[datetime]:
    """When the occurrences start; a series needs a calendar with one host."""
    assert patch.start is not None
    if len(calendar.hosts) > 1:
        raise invalid("rrule", "one_member", "a series is booked on a calendar with one member")
    horizon = calendar.rules.latest(epoch_ms(now))
    if horizon is None or patch.ignore_range or patch.ignore_rules:
        return starts(rule, patch.start, zone=calendar.time_zone, latest=patch.start + LONGEST)
    return starts(rule, patch.start, zone=calendar.time_zone, latest=utc_datetime(horizon))


def occurrence(newcomer: Newcomer, rule: Rule, start: datetime, length: timedelta) -> Newcomer:
    """One occurrence of the series whose id is the newcomer's."""
    public = occurrence_id(newcomer.id, start, length)
    inside = row_id(public)
    assert inside is not None
    series = Series(master=newcomer.id, rrule=rule.text, start=start, occurrence_id=public)
    return replace(newcomer, id=inside, series=series)


def option_of(settings: Mapping[str, Any]) -> str:
    """What a calendar does with an occurrence whose time is taken: skip, continue or book_next."""
    recurring = settings.get("recurring") or {}
    return str(recurring.get("bookingOption") or "skip")


def each(patch: Patch, ahead: Sequence[Appointment]) -> list[tuple[Appointment, Patch]]:
    """A change of a whole series as a change of each occurrence ahead, in an order that works.

    The new start is that of the first one. The others move by as many days, to the same time of
    their location's clocks; whoever moves away goes first.
    """
    first = ahead[0]
    start = patch.start or first.start_time
    length = None if patch.end is None else patch.end - start
    if patch.start is None:
        return [(one, _lasting(patch, one.start_time, length)) for one in ahead]
    moved = [(one, _lasting(patch, _shifted(start, first, one), length)) for one in ahead]
    return moved if start <= first.start_time else moved[::-1]


def _shifted(start: datetime, first: Appointment, one: Appointment) -> datetime:
    zone = ZoneInfo(one.time_zone)
    new, old = start.astimezone(zone), first.start_time.astimezone(zone)
    day = one.start_time.astimezone(zone).date() + (new.date() - old.date())
    shifted = at_clock(day, new.time(), one.time_zone)
    if shifted is None:
        text = f"on {day} the clocks of {one.time_zone} skip that time"
        raise invalid("startTime", "no_such_time", text)
    return start if one is first else shifted


def _lasting(patch: Patch, start: datetime, length: timedelta | None) -> Patch:
    said = None if patch.start is None else start
    return replace(patch, start=said, end=None if length is None else start + length)
