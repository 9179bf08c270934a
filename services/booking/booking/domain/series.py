"""Series: the ids of their occurrences, the outcome of booking each, and changing all at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from booking.domain.calendars import Calendar
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.domain.recurrence import MAX_UNTIL, local_instant, rule_of_calendar, starts
from booking.domain.recurrence_rule import RecurrenceRule, parse_rule
from hoop_events.booking import Appointment, Series
from hoop_platform.errors import invalid
from hoop_platform.ids import row_id
from hoop_scheduling.zones import epoch_ms, utc_datetime

OccurrenceResult = Literal["booked", "moved", "waiting", "skipped"]


@dataclass(frozen=True)
class OccurrenceOutcome:
    """The outcome of booking the occurrence whose start by the rule is `start`.

    A skipped occurrence has no `state`.
    """

    start: datetime
    outcome: OccurrenceResult
    state: Appointment | None = None
    reason: str | None = None


def occurrence_id(master: str, start: datetime, length: timedelta) -> str:
    """An occurrence's id in the API."""
    return f"{master}_{epoch_ms(start)}_{int(length.total_seconds())}"


def rule_for(calendar: Calendar, patch: AppointmentPatch) -> RecurrenceRule | None:
    """The rule of the request, else the calendar's; None for a single appointment."""
    if patch.rrule is not None:
        return parse_rule(patch.rrule)
    return None if len(calendar.hosts) > 1 else rule_of_calendar(calendar.settings)


def series_starts(
    rule: RecurrenceRule, calendar: Calendar, patch: AppointmentPatch, *, now: datetime
) -> list[datetime]:
    """The starts of the occurrences; raises `Invalid` for a calendar with several members."""
    assert patch.start is not None
    if len(calendar.hosts) > 1:
        raise invalid("rrule", "one_member", "a series is booked on a calendar with one member")
    horizon = calendar.rules.latest(epoch_ms(now))
    if horizon is None or patch.ignore_range or patch.ignore_rules:
        return starts(rule, patch.start, zone=calendar.time_zone, latest=patch.start + MAX_UNTIL)
    return starts(rule, patch.start, zone=calendar.time_zone, latest=utc_datetime(horizon))


def occurrence(
    new: NewAppointment, rule: RecurrenceRule, start: datetime, length: timedelta
) -> NewAppointment:
    """One occurrence of the series whose id is `new.id`."""
    public = occurrence_id(new.id, start, length)
    internal = row_id(public)
    assert internal is not None
    series = Series(master=new.id, rrule=rule.text, start=start, occurrence_id=public)
    return replace(new, id=internal, series=series)


def booking_option(settings: Mapping[str, Any]) -> str:
    """`recurring.bookingOption`: skip, continue or book_next, for an occurrence whose time is taken."""
    recurring = settings.get("recurring") or {}
    return str(recurring.get("bookingOption") or "skip")


def occurrence_patches(
    patch: AppointmentPatch, upcoming: Sequence[Appointment]
) -> list[tuple[Appointment, AppointmentPatch]]:
    """The patch of a series as one patch for each upcoming occurrence, in the order to apply them.

    The new start is that of the first occurrence. The others move by as many days, to the same
    local time. In this order no occurrence moves to the time of one that has not moved yet.
    """
    first = upcoming[0]
    start = patch.start or first.start_time
    length = None if patch.end is None else patch.end - start
    if patch.start is None:
        return [(one, _at_time(patch, one.start_time, length)) for one in upcoming]
    moved = [(one, _at_time(patch, _shifted(start, first, one), length)) for one in upcoming]
    return moved if start <= first.start_time else moved[::-1]


def _shifted(start: datetime, first: Appointment, one: Appointment) -> datetime:
    zone = ZoneInfo(one.time_zone)
    new, old = start.astimezone(zone), first.start_time.astimezone(zone)
    day = one.start_time.astimezone(zone).date() + (new.date() - old.date())
    shifted = local_instant(day, new.time(), one.time_zone)
    if shifted is None:
        text = f"on {day} the clocks of {one.time_zone} skip that time"
        raise invalid("startTime", "no_such_time", text)
    return start if one is first else shifted


def _at_time(
    patch: AppointmentPatch, start: datetime, length: timedelta | None
) -> AppointmentPatch:
    moved = None if patch.start is None else start
    return replace(patch, start=moved, end=None if length is None else start + length)
