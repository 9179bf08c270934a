"""New appointments: booked at a free time, created without taking time, or converted from a hold."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.assignment import (
    NO_MEETING,
    SeatAssignment,
    assign_seat,
    assigned_user,
    check_attendance,
    check_length,
    is_shared,
    meeting_for,
    named_host,
    overlaps_buffer,
)
from booking.domain.calendars import Calendar, Venue, choose_venue
from booking.domain.commands import CONFIRMED, OCCUPYING, AppointmentPatch, NewAppointment
from booking.domain.decisions import Decision, decide_new, enter_session
from booking.domain.requested_time import RequestedTime
from booking.domain.snapshot import Snapshot
from hoop_events.base import Personal
from hoop_events.booking import Hold
from hoop_platform.errors import CalendarInactive, invalid
from hoop_scheduling.zones import epoch_ms, utc_datetime


def book(
    snapshot: Snapshot,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    session_id: str,
    now: datetime,
) -> Decision:
    """Book the requested time for the contact; raises the refusal, with its reason."""
    status = _status(snapshot.calendar, patch)
    start, end = _times(snapshot.calendar, patch)
    if status not in OCCUPYING:
        return _without_time(snapshot, new, patch, session_id=session_id, status=status, now=now)
    request = RequestedTime(
        start, end, patch.host, _preferred_host(snapshot), patch.ignore_range, patch.ignore_rules
    )
    found = assign_seat(snapshot, request, excluded=None, now=now)
    check_attendance(snapshot, found.joins)
    status = _overlap_status(snapshot, patch, found, request) or status
    fields = _fields(snapshot, new, patch, found, status=status, now=now)
    fields |= {"start_time": start, "end_time": end}
    entry = enter_session(None, end, found, session_id=session_id)
    return decide_new(snapshot, patch, found, entry, fields)


def _preferred_host(snapshot: Snapshot) -> str | None:
    """The contact's former host, on a round robin with `stickyContact`."""
    return snapshot.former_host if snapshot.calendar.rules.kind == "round_robin" else None


def _overlap_status(
    snapshot: Snapshot, patch: AppointmentPatch, found: SeatAssignment, request: RequestedTime
) -> str | None:
    """`bookingOverlapDefaultStatus`, if the appointment is booked into the buffer of another.

    None where that needs no flag, where the request names a status, or the calendar none.
    """
    recurring = snapshot.calendar.settings.get("recurring") or {}
    status: str | None = recurring.get("bookingOverlapDefaultStatus")
    if status is None or patch.status is not None or not patch.ignore_rules:
        return None
    return status if overlaps_buffer(snapshot, found, request) else None


def create_unconfirmed(
    snapshot: Snapshot,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    session_id: str,
    now: datetime,
) -> Decision:
    """Create the appointment as `new` without taking time; time is taken at confirmation."""
    return _without_time(snapshot, new, patch, session_id=session_id, status="new", now=now)


def _without_time(
    snapshot: Snapshot,
    new: NewAppointment,
    patch: AppointmentPatch,
    *,
    session_id: str,
    status: str,
    now: datetime,
) -> Decision:
    found = SeatAssignment((named_host(snapshot.calendar, patch.host),), 0, None)
    start, end = _times(snapshot.calendar, patch)
    check_length(start, end, snapshot.calendar.time_zone)
    fields = _fields(snapshot, new, patch, found, status=status, now=now)
    fields |= {"start_time": start, "end_time": end, "session": session_id, "occupies": False}
    fields |= {"shared": False, "meeting": NO_MEETING}
    return decide_new(snapshot, patch, found, None, fields)


def convert_hold(
    hold: Hold, snapshot: Snapshot, new: NewAppointment, patch: AppointmentPatch, *, now: datetime
) -> Decision:
    """Give the held seat to the contact: same id, same session; the rules are not checked again."""
    _check_matches_hold(hold, patch)
    session = snapshot.sessions.get(hold.session)
    if not snapshot.calendar.rules.active or session is None:
        raise CalendarInactive
    status = _status(snapshot.calendar, patch)
    if status not in OCCUPYING:
        raise invalid("appointmentStatus", "held", "a held time is given to one who takes it")
    check_attendance(snapshot, session)
    found = SeatAssignment(hold.hosts, snapshot.seat or 1, session, hold.resources)
    entry = enter_session(hold, hold.end_time, found, session_id=hold.session)
    fields = _fields(snapshot, new, patch, found, status=status, now=now)
    fields |= {"start_time": hold.start_time, "end_time": hold.end_time}
    return decide_new(snapshot, patch, found, entry, fields, hold=hold)


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


def _fields(
    snapshot: Snapshot,
    new: NewAppointment,
    patch: AppointmentPatch,
    found: SeatAssignment,
    *,
    status: str,
    now: datetime,
) -> dict[str, Any]:
    """The fields of the new appointment, but for its times and its session."""
    calendar, host = snapshot.calendar, found.hosts[0]
    title = patch.title or _title(calendar.settings, snapshot.contact_name or "")
    venue = choose_venue(Venue(), calendar, host, patch, reassigned=True)
    confirmed = status in CONFIRMED
    return {
        "id": new.id,
        "sequence": 1,
        "version": 1,
        "calendar_id": calendar.id,
        "location_id": calendar.location_id,
        "contact_id": new.contact_id,
        "group_id": calendar.group_id,
        "time_zone": calendar.time_zone,
        "appointment_status": status,
        "assigned_user_id": assigned_user(snapshot, found),
        "occupies": True,
        "confirmed": confirmed,
        "shared": is_shared(snapshot, found.joins),
        "hosts": found.hosts,
        "meeting_location_type": venue.kind,
        "meeting_location_id": venue.location_id,
        "meeting": meeting_for(venue.kind, found.joins, confirmed=confirmed),
        "personal": Personal(
            title=title,
            description=patch.description or "",
            address=venue.address,
        ),
        "series": new.series,
        "date_added": now,
        "date_updated": now,
    }


def _times(calendar: Calendar, patch: AppointmentPatch) -> tuple[datetime, datetime]:
    """Start and end: as long as the calendar's appointments are, if the request has no end."""
    assert patch.start is not None
    return patch.start, patch.end or utc_datetime(epoch_ms(patch.start) + calendar.rules.length)


def _status(calendar: Calendar, patch: AppointmentPatch) -> str:
    """The requested status, else the one that the calendar gives."""
    return patch.status or ("confirmed" if calendar.settings.get("autoConfirm", True) else "new")


def _title(settings: Mapping[str, Any], contact_name: str) -> str:
    template = str(settings.get("eventTitle") or "{{contact.name}}")
    return template.replace("{{contact.name}}", contact_name) or "Appointment"
