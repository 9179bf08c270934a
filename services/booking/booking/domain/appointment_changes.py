"""Changes of an appointment: moved, cancelled, confirmed, edited, deleted."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from booking.domain.assignment import (
    NO_MEETING,
    SeatAssignment,
    assign_seat,
    assigned_user,
    check_attendance,
    check_length,
    excluded_appointment,
    is_shared,
    meeting_for,
)
from booking.domain.calendars import Venue, choose_venue
from booking.domain.commands import CONFIRMED, OCCUPYING, AppointmentPatch
from booking.domain.decisions import Decision, decide_change, enter_session, entered
from booking.domain.reassignment import check_host, check_keeps_together
from booking.domain.recurrence import check_rule_unchanged
from booking.domain.requested_time import RequestedTime
from booking.domain.snapshot import Snapshot
from hoop_events.booking import Appointment
from hoop_platform.errors import StateConflict


def change(
    before: Appointment,
    snapshot: Snapshot,
    patch: AppointmentPatch,
    *,
    session_id: str,
    now: datetime,
) -> Decision | None:
    """Apply a patch; None when nothing changes. `snapshot` is of the calendar after the change."""
    if patch.relieve not in (None, *before.hosts):
        return None
    _check(before, snapshot, patch)
    after = _edited(before, snapshot, patch)
    moves = _moves(before, after, patch)
    if not moves:
        venue = _venue(after, snapshot, before.hosts[0], patch, reassigned=False)
        after = _still_without_time(before, after.model_copy(update=venue))
    elif before.appointment_status not in ("new", "confirmed", "active") and not (
        after.occupies and not before.occupies
    ):
        raise StateConflict
    if after == before and not moves:
        return None
    if not after.occupies:
        return decide_change(before, after, snapshot, patch, {"meeting": NO_MEETING}, now=now)
    if before.occupies and not moves:
        return _stay(before, after, snapshot, patch, now=now)
    return _move(before, after, snapshot, patch, session_id=session_id, now=now)


def _check(before: Appointment, snapshot: Snapshot, patch: AppointmentPatch) -> None:
    if patch.rrule is not None:
        check_rule_unchanged(before, patch)
    if patch.host is not None or patch.relieve is not None:
        check_host(before, snapshot, patch)


def _venue(
    after: Appointment, snapshot: Snapshot, host: str, patch: AppointmentPatch, *, reassigned: bool
) -> dict[str, Any]:
    """The fields of the venue that the patch names; else of the present one."""
    present = Venue(after.meeting_location_id, after.meeting_location_type, after.personal.address)
    venue = choose_venue(present, snapshot.calendar, host, patch, reassigned=reassigned)
    return {
        "meeting_location_id": venue.location_id,
        "meeting_location_type": venue.kind,
        "personal": after.personal.model_copy(update={"address": venue.address}),
    }


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
    check_length(start, end, snapshot.calendar.time_zone)
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
    moved = when != (after.start_time, after.end_time, after.calendar_id)
    return moved or _replaces_host(before, patch)


def _replaces_host(before: Appointment, patch: AppointmentPatch) -> bool:
    """Whether the patch asks for another host than the present ones."""
    if patch.relieve is not None:
        return patch.relieve in before.hosts
    return patch.host is not None and patch.host not in before.hosts


def _stay(
    before: Appointment,
    after: Appointment,
    snapshot: Snapshot,
    patch: AppointmentPatch,
    *,
    now: datetime,
) -> Decision:
    """Same session, same seat; the meeting changes with the venue, or with the confirmation."""
    fields: dict[str, Any] = {}
    if _meeting_differs(before, after):
        session = snapshot.sessions.get(before.session)
        kind = after.meeting_location_type
        fields["meeting"] = meeting_for(kind, session, confirmed=after.confirmed)
    return decide_change(before, after, snapshot, patch, fields, now=now, seat=snapshot.seat)


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
    request = _requested_time(before, after, patch, now)
    if _replaces_host(before, patch):
        check_keeps_together(before, after, snapshot, patch)
    excluded = excluded_appointment(before, snapshot)
    found = assign_seat(snapshot, request, excluded=excluded, now=now)
    if _keeps_session(before, after, found):
        found = replace(found, joins=snapshot.sessions.get(before.session))
    stays = before.occupies and found.joins is not None and found.joins.id == before.session
    entry = enter_session(before, after.end_time, found, session_id=session_id)
    fields = {
        **entered(snapshot, entry, found),
        **_venue(after, snapshot, found.hosts[0], patch, reassigned=True),
        "assigned_user_id": assigned_user(snapshot, found),
        "shared": is_shared(snapshot, found.joins),
    }
    if not stays:
        check_attendance(snapshot, found.joins)
        kind = fields["meeting_location_type"]
        fields["meeting"] = meeting_for(kind, found.joins, confirmed=after.confirmed)
    seat = snapshot.seat if stays else found.seat
    return decide_change(before, after, snapshot, patch, fields, now=now, seat=seat, entry=entry)


def _requested_time(
    before: Appointment, after: Appointment, patch: AppointmentPatch, now: datetime
) -> RequestedTime:
    """The time and the hosts to be tried.

    Notice and horizon are rules for choosing a time: one that is kept, and is not over, was chosen
    already. Of a kept time the present host is none of those who could take it instead.
    """
    was = (before.calendar_id, before.start_time, before.end_time)
    kept = was == (after.calendar_id, after.start_time, after.end_time) and before.occupies
    others = kept and _replaces_host(before, patch)
    return RequestedTime(
        after.start_time,
        after.end_time,
        host=patch.host,
        prefer=None if others else before.hosts[0],
        relieve=before.hosts[0] if others else None,
        ignore_range=patch.ignore_range or (kept and now < after.end_time),
        ignore_rules=patch.ignore_rules,
        any_length=_keeps_length(before, after),
    )


def _keeps_length(before: Appointment, after: Appointment) -> bool:
    """Whether it is as long as before on the same calendar, however it came by that length."""
    was, now = (one.end_time - one.start_time for one in (before, after))
    return was == now and before.calendar_id == after.calendar_id


def _keeps_session(before: Appointment, after: Appointment, found: SeatAssignment) -> bool:
    """Whether only the end changes: then the session stays the same, and with it the link."""
    was = (before.calendar_id, before.start_time, before.hosts)
    return before.occupies and was == (after.calendar_id, after.start_time, found.hosts)
