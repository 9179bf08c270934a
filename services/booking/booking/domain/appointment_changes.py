"""Changes of an appointment: moved, cancelled, confirmed, edited, deleted."""

from dataclasses import replace
from datetime import datetime, timedelta

from booking.domain.assignment import (
    RequestedTime,
    SeatAssignment,
    assign_seat,
    excluded_appointment,
    named_host,
)
from booking.domain.commands import CONFIRMED, OCCUPYING, AppointmentPatch
from booking.domain.decisions import Decision, decide, decide_entry, with_assignment
from booking.domain.recurrence import check_rule_unchanged
from booking.domain.snapshot import Snapshot
from booking.domain.venue import NO_MEETING, meeting_for, with_venue
from hoop_events.booking import Appointment
from hoop_events.meeting_locations import PROVIDER_OF_LOCATION_TYPE
from hoop_platform.errors import StateConflict, invalid

MAX_LENGTH = timedelta(days=31)


def change(
    before: Appointment,
    snapshot: Snapshot,
    patch: AppointmentPatch,
    *,
    session_id: str,
    now: datetime,
) -> Decision | None:
    """Apply a patch; None when nothing changes. `snapshot` is of the calendar after the change."""
    check_rule_unchanged(before, patch)
    if patch.host not in (None, *before.hosts):
        named_host(snapshot.calendar, patch.host)
    after = _edited(before, snapshot, patch)
    moves = _moves(before, after, patch)
    if not moves:
        host = before.hosts[0]
        venue = with_venue(after, snapshot.calendar, host, patch, reassigned=False)
        after = _still_without_time(before, venue)
    elif before.appointment_status not in ("new", "confirmed", "active") and not (
        after.occupies and not before.occupies
    ):
        raise StateConflict
    if after == before:
        return None
    after = after.model_copy(update={"date_updated": now, "version": before.version + 1})
    if not after.occupies:
        return decide(before, after.model_copy(update={"meeting": NO_MEETING}), snapshot, patch)
    if before.occupies and not moves:
        return _stay(before, after, snapshot, patch)
    return _move(before, after, snapshot, patch, session_id=session_id, now=now)


def _still_without_time(before: Appointment, after: Appointment) -> Appointment:
    """An unconfirmed appointment that takes no time takes none until it is confirmed or moved."""
    without_time = not before.occupies and before.appointment_status in OCCUPYING
    if without_time and after.appointment_status == before.appointment_status:
        return after.model_copy(update={"occupies": False})
    return after


def _edited(before: Appointment, snapshot: Snapshot, patch: AppointmentPatch) -> Appointment:
    status = patch.status or before.appointment_status
    calendar_id = patch.calendar_id or before.calendar_id
    start = patch.start or before.start_time
    length = before.end_time - before.start_time
    if calendar_id != before.calendar_id:
        length = snapshot.calendar.length
    end = patch.end or start + length
    if not start < end <= start + MAX_LENGTH:
        raise invalid("endTime", "end_time", "must be later than startTime, by 31 days at most")
    texts = {"title": patch.title, "description": patch.description}
    personal = before.personal.model_copy(
        update={name: text for name, text in texts.items() if text is not None}
    )
    return before.model_copy(
        update={
            "calendar_id": calendar_id,
            "group_id": snapshot.calendar.group_id,
            "appointment_status": status,
            "occupies": status in OCCUPYING and not patch.delete,
            "deleted": before.deleted or patch.delete,
            "confirmed": before.confirmed or status in CONFIRMED,
            "start_time": start,
            "end_time": end,
            "personal": personal,
        }
    )


def _moves(before: Appointment, after: Appointment, patch: AppointmentPatch) -> bool:
    """Whether time, calendar or host change, so that a seat has to be assigned."""
    when = (before.start_time, before.end_time, before.calendar_id)
    host = patch.host is not None and patch.host not in before.hosts
    return host or when != (after.start_time, after.end_time, after.calendar_id)


def _stay(
    before: Appointment, after: Appointment, snapshot: Snapshot, patch: AppointmentPatch
) -> Decision:
    """Same session, same seat; the meeting changes with the venue, or with the confirmation."""
    session = snapshot.session(before.session)
    provider = PROVIDER_OF_LOCATION_TYPE.get(after.meeting_location_type)
    if _meeting_differs(before, after):
        meeting = meeting_for(provider, session, confirmed=after.confirmed)
        after = after.model_copy(update={"meeting": meeting})
    return decide(before, after, snapshot, patch, seat=snapshot.seat)


def _meeting_differs(before: Appointment, after: Appointment) -> bool:
    return (before.meeting_location_type, before.confirmed) != (
        after.meeting_location_type,
        after.confirmed,
    )


def _move(
    before: Appointment,
    after: Appointment,
    snapshot: Snapshot,
    patch: AppointmentPatch,
    *,
    session_id: str,
    now: datetime,
) -> Decision:
    """Leave the old session, if any, and enter another; or the same, if only the end changes."""
    request = RequestedTime(
        after.start_time,
        after.end_time,
        patch.host,
        before.hosts[0],
        patch.ignore_range,
        patch.ignore_rules,
    )
    excluded = excluded_appointment(before, snapshot)
    found = assign_seat(snapshot, request, excluded=excluded, now=now)
    if _keeps_session(before, after, found):
        found = replace(found, joins=snapshot.session(before.session))
    after = with_assignment(after, snapshot, found, patch)
    return decide_entry(before, after, snapshot, found, patch, session_id=session_id)


def _keeps_session(before: Appointment, after: Appointment, found: SeatAssignment) -> bool:
    """Whether only the end changes: then the session stays the same, and with it the link."""
    was = (before.calendar_id, before.start_time, before.hosts)
    return before.occupies and was == (after.calendar_id, after.start_time, found.hosts)
