"""New appointments: booked at a free time, created without taking time, or converted from a hold."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from booking.domain.assignment import RequestedTime, SeatAssignment, assign_seat, named_host
from booking.domain.calendars import Calendar
from booking.domain.commands import CONFIRMED, OCCUPYING, AppointmentPatch, NewAppointment
from booking.domain.decisions import Decision, decide, decide_entry, with_assignment
from booking.domain.snapshot import Snapshot
from hoop_events.base import Change, Gone, Personal
from hoop_events.booking import Appointment, Hold, HoldDeleted
from hoop_platform.errors import CalendarInactive, invalid


def book(
    snapshot: Snapshot,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    session_id: str,
    now: datetime,
) -> Decision:
    """Book the requested time for the contact; raises the refusal, with its reason."""
    assert patch.start is not None
    end = patch.end or patch.start + snapshot.calendar.length
    found = None
    if _status(snapshot.calendar, patch) in OCCUPYING:
        request = RequestedTime(
            patch.start, end, patch.host, None, patch.ignore_range, patch.ignore_rules
        )
        found = assign_seat(snapshot, request, excluded=None, now=now)
    state = _initial_state(snapshot, new, patch, start=patch.start, end=end, now=now)
    if found is None:
        return _without_time(state, snapshot, patch, session_id=session_id)
    after = with_assignment(state, snapshot, found, patch)
    return decide_entry(None, after, snapshot, found, patch, session_id=session_id)


def create_unconfirmed(
    snapshot: Snapshot,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    session_id: str,
    now: datetime,
) -> Decision:
    """Create the appointment as `new` without taking time; time is taken at confirmation."""
    assert patch.start is not None
    end = patch.end or patch.start + snapshot.calendar.length
    state = _initial_state(snapshot, new, patch, start=patch.start, end=end, now=now)
    unconfirmed = {"appointment_status": "new", "occupies": False, "confirmed": False}
    state = state.model_copy(update=unconfirmed)
    return _without_time(state, snapshot, patch, session_id=session_id)


def _without_time(
    state: Appointment, snapshot: Snapshot, patch: AppointmentPatch, *, session_id: str
) -> Decision:
    host = named_host(snapshot.calendar, patch.host)
    state = state.model_copy(update={"session": session_id})
    after = with_assignment(state, snapshot, SeatAssignment((host,), 0, None), patch)
    return decide(None, after, snapshot, patch)


def convert_hold(
    hold: Hold, snapshot: Snapshot, new: NewAppointment, patch: AppointmentPatch, *, now: datetime
) -> Decision:
    """Give the held seat to the contact: same id, same session; the rules are not checked again."""
    _check_matches_hold(hold, patch)
    session = snapshot.session(hold.session)
    if not snapshot.calendar.rules.active or session is None:
        raise CalendarInactive
    state = _initial_state(snapshot, new, patch, start=hold.start_time, end=hold.end_time, now=now)
    if not state.occupies:
        raise invalid("appointmentStatus", "held", "a held time is given to one who takes it")
    found = SeatAssignment(hold.hosts, snapshot.seat or 1, session, hold.resources)
    after = with_assignment(state, snapshot, found, patch)
    entered = decide_entry(hold, after, snapshot, found, patch, session_id=hold.session)
    gone = HoldDeleted(
        account_id=snapshot.calendar.account_id,
        state=Gone(id=hold.id, sequence=hold.sequence + 1),
        change=Change(reason="booked", actor=patch.actor),
    )
    return replace(entered, events=(*entered.events, gone))


def _check_matches_hold(hold: Hold, patch: AppointmentPatch) -> None:
    """Refuse a calendar, time or host in the request that is not the hold's."""
    fields = (
        ("calendarId", patch.calendar_id, hold.calendar_id),
        ("startTime", patch.start, hold.start_time),
        ("endTime", patch.end, hold.end_time),
    )
    for path, requested, held in fields:
        if requested not in (None, held):
            raise invalid(path, "held", "the hold is of another calendar or time")
    if patch.host is not None and patch.host not in hold.hosts:
        raise invalid("assignedUserId", "held", "the hold is of another host", hold.hosts)


def _initial_state(
    snapshot: Snapshot,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
) -> Appointment:
    """The appointment as requested, without hosts, session and venue."""
    calendar = snapshot.calendar
    status = _status(calendar, patch)
    return Appointment(
        id=new.id,
        sequence=0,
        version=0,
        calendar_id=calendar.id,
        location_id=calendar.location_id,
        contact_id=new.contact_id,
        group_id=calendar.group_id,
        start_time=start,
        end_time=end,
        time_zone=calendar.time_zone,
        appointment_status=status,
        occupies=status in OCCUPYING,
        confirmed=status in CONFIRMED,
        session=new.id,  # until a session is entered
        time_revision=1,
        hosts=(),
        personal=Personal(
            title=patch.title or _title(calendar.settings, snapshot.contact_name or ""),
            description=patch.description or "",
        ),
        series=new.series,
        date_added=now,
        date_updated=now,
    )


def _status(calendar: Calendar, patch: AppointmentPatch) -> str:
    """The requested status, else the one that the calendar gives."""
    return patch.status or ("confirmed" if calendar.auto_confirms else "new")


def _title(settings: Mapping[str, Any], contact_name: str) -> str:
    template = str(settings.get("eventTitle") or "{{contact.name}}")
    return template.replace("{{contact.name}}", contact_name) or "Appointment"
