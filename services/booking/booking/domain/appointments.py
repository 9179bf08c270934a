"""What becomes of an appointment: booked, moved, cancelled, edited, deleted."""

from dataclasses import replace
from datetime import datetime, timedelta

from booking.domain.announcing import announcement, when
from booking.domain.calendars import PROVIDERS
from booking.domain.decisions import Decision, Entry, buffers, closing, entering
from booking.domain.locating import located
from booking.domain.newcomers import blank_of, status_of
from booking.domain.patches import CONFIRMED, OCCUPYING, Newcomer, Patch
from booking.domain.placing import Basis, Place, Wanted, leaving, meeting_for, named_host, place
from booking.domain.recurrence import check_rule
from hoop_events.base import Change, Gone
from hoop_events.booking import Appointment, Hold, HoldDeleted
from hoop_platform.errors import CalendarInactive, StateConflict, invalid

LONGEST = timedelta(days=31)


def book(
    basis: Basis, newcomer: Newcomer, patch: Patch, *, session_id: str, now: datetime
) -> Decision:
    """Give the wanted time to the contact, or raise the reason why not."""
    assert patch.start is not None
    end = patch.end or patch.start + basis.calendar.length
    found = None
    if status_of(basis.calendar, patch) in OCCUPYING:
        wanted = Wanted(patch.start, end, patch.host, None, patch.ignore_range, patch.ignore_rules)
        found = place(basis, wanted, leaving=None, now=now)
    blank = blank_of(basis, newcomer, patch, start=patch.start, end=end, now=now)
    if found is None:
        return _unseated(blank, basis, patch, session_id=session_id)
    after = _placed(blank, basis, found, patch)
    return _enter(None, after, basis, found, patch, session_id=session_id)


def wait(
    basis: Basis, newcomer: Newcomer, patch: Patch, *, session_id: str, now: datetime
) -> Decision:
    """Write the appointment down as `new` without taking time: that is for whoever confirms it."""
    assert patch.start is not None
    end = patch.end or patch.start + basis.calendar.length
    blank = blank_of(basis, newcomer, patch, start=patch.start, end=end, now=now)
    waiting = {"appointment_status": "new", "occupies": False, "confirmed": False}
    return _unseated(blank.model_copy(update=waiting), basis, patch, session_id=session_id)


def _unseated(blank: Appointment, basis: Basis, patch: Patch, *, session_id: str) -> Decision:
    host = named_host(basis.calendar, patch.host)
    unseated = blank.model_copy(update={"session": session_id})
    return _conclude(None, _placed(unseated, basis, Place((host,), 0, None), patch), basis, patch)


def convert(
    hold: Hold, basis: Basis, newcomer: Newcomer, patch: Patch, *, now: datetime
) -> Decision:
    """Give the held seat to the contact: same id, same session, nothing is asked for again."""
    _check_held(hold, patch)
    session = basis.session(hold.session)
    if not basis.calendar.rules.active or session is None:
        raise CalendarInactive
    blank = blank_of(basis, newcomer, patch, start=hold.start_time, end=hold.end_time, now=now)
    if not blank.occupies:
        raise invalid("appointmentStatus", "held", "a held time is given to one who takes it")
    found = Place(hold.hosts, basis.seat or 1, session, hold.resources)
    after = _placed(blank, basis, found, patch)
    entered = _enter(hold, after, basis, found, patch, session_id=hold.session)
    gone = HoldDeleted(
        account_id=basis.calendar.account_id,
        state=Gone(id=hold.id, sequence=hold.sequence + 1),
        change=Change(reason="booked", actor=patch.actor),
    )
    return replace(entered, events=(*entered.events, gone))


def _check_held(hold: Hold, patch: Patch) -> None:
    """What is said besides the hold must be what was held."""
    said = (
        ("calendarId", patch.calendar_id, hold.calendar_id),
        ("startTime", patch.start, hold.start_time),
        ("endTime", patch.end, hold.end_time),
    )
    for path, wanted, held in said:
        if wanted not in (None, held):
            raise invalid(path, "held", "the hold is of another calendar or time")
    if patch.host is not None and patch.host not in hold.hosts:
        raise invalid("assignedUserId", "held", "the hold is of another host", hold.hosts)


def change(
    before: Appointment, basis: Basis, patch: Patch, *, session_id: str, now: datetime
) -> Decision | None:
    """Apply a patch; None when nothing changes. `basis` is of the calendar it will stand in."""
    check_rule(before, patch)
    if patch.host not in (None, *before.hosts):
        named_host(basis.calendar, patch.host)
    after = _edited(before, basis, patch)
    moves = _moves(before, after, patch)
    if not moves:
        after = _settled(before, located(after, basis.calendar, before.hosts[0], patch, anew=False))
    elif before.appointment_status not in ("new", "confirmed", "active") and not (
        after.occupies and not before.occupies
    ):
        raise StateConflict
    if after == before:
        return None
    after = after.model_copy(update={"date_updated": now, "version": before.version + 1})
    if not after.occupies:
        gone = after.model_copy(update={"meeting": meeting_for(None, None, confirmed=False)})
        return _conclude(before, gone, basis, patch)
    if before.occupies and not moves:
        return _stay(before, after, basis, patch)
    return _move(before, after, basis, patch, session_id=session_id, now=now)


def _settled(before: Appointment, after: Appointment) -> Appointment:
    """What waits for its time goes on waiting until it is confirmed or moved."""
    waits = not before.occupies and before.appointment_status in OCCUPYING
    if waits and after.appointment_status == before.appointment_status:
        return after.model_copy(update={"occupies": False})
    return after


def _edited(before: Appointment, basis: Basis, patch: Patch) -> Appointment:
    status = patch.status or before.appointment_status
    calendar_id = patch.calendar_id or before.calendar_id
    start = patch.start or before.start_time
    length = before.end_time - before.start_time
    if calendar_id != before.calendar_id:
        length = basis.calendar.length
    end = patch.end or start + length
    if not start < end <= start + LONGEST:
        raise invalid("endTime", "end_time", "must be later than startTime, by 31 days at most")
    said = {"title": patch.title, "description": patch.description}
    personal = before.personal.model_copy(
        update={name: text for name, text in said.items() if text is not None}
    )
    return before.model_copy(
        update={
            "calendar_id": calendar_id,
            "group_id": basis.calendar.group_id,
            "appointment_status": status,
            "occupies": status in OCCUPYING and not patch.delete,
            "deleted": before.deleted or patch.delete,
            "confirmed": before.confirmed or status in CONFIRMED,
            "start_time": start,
            "end_time": end,
            "personal": personal,
        }
    )


def _moves(before: Appointment, after: Appointment, patch: Patch) -> bool:
    """It needs another place: other time, calendar or host."""
    when = (before.start_time, before.end_time, before.calendar_id)
    host = patch.host is not None and patch.host not in before.hosts
    return host or when != (after.start_time, after.end_time, after.calendar_id)


def _stay(before: Appointment, after: Appointment, basis: Basis, patch: Patch) -> Decision:
    """Same session, same seat; its meeting may be another one, or begin to be wanted."""
    session = basis.session(before.session)
    provider = PROVIDERS.get(after.meeting_location_type)
    if _meeting_differs(before, after):
        meeting = meeting_for(provider, session, confirmed=after.confirmed)
        after = after.model_copy(update={"meeting": meeting})
    return _conclude(before, after, basis, patch, seat=basis.seat)


def _meeting_differs(before: Appointment, after: Appointment) -> bool:
    return (before.meeting_location_type, before.confirmed) != (
        after.meeting_location_type,
        after.confirmed,
    )


def _move(
    before: Appointment,
    after: Appointment,
    basis: Basis,
    patch: Patch,
    *,
    session_id: str,
    now: datetime,
) -> Decision:
    """Leave the old session, if it sat in one, and enter another (or the same, if only the end moved)."""
    wanted = Wanted(
        after.start_time,
        after.end_time,
        patch.host,
        before.hosts[0],
        patch.ignore_range,
        patch.ignore_rules,
    )
    found = place(basis, wanted, leaving=leaving(before, basis), now=now)
    if _keeps_session(before, after, found):
        found = replace(found, joins=basis.session(before.session))
    after = _placed(after, basis, found, patch)
    return _enter(before, after, basis, found, patch, session_id=session_id)


def _keeps_session(before: Appointment, after: Appointment, found: Place) -> bool:
    """Only the end moved: the session, and so the link, stays the same."""
    was = (before.calendar_id, before.start_time, before.hosts)
    return before.occupies and was == (after.calendar_id, after.start_time, found.hosts)


def _placed(after: Appointment, basis: Basis, found: Place, patch: Patch) -> Appointment:
    """The appointment with its hosts, and where it takes place with them."""
    own = basis.calendar.hosts == (basis.calendar.id,)
    after = after.model_copy(
        update={
            "hosts": found.hosts,
            "resources": found.resources,
            "assigned_user_id": None if own else found.hosts[0],
            "location_id": basis.calendar.location_id,
            "time_zone": basis.calendar.time_zone,
        }
    )
    return located(after, basis.calendar, found.hosts[0], patch, anew=True)


def _enter(
    before: Appointment | Hold | None,
    after: Appointment,
    basis: Basis,
    found: Place,
    patch: Patch,
    *,
    session_id: str,
) -> Decision:
    joins = found.joins
    sat_in = before.session if before is not None and before.occupies else None
    stays = joins is not None and joins.id == sat_in
    entry = entering(before, after, found, session_id=session_id)
    shared = basis.calendar.rules.capacity > 1 or (joins is not None and joins.shared)
    seated = {"session": entry.session_id, "shared": shared, **buffers(basis, entry, joins)}
    after = after.model_copy(update=seated)
    if not stays or not isinstance(before, Appointment):
        provider = PROVIDERS.get(after.meeting_location_type)
        meeting = meeting_for(provider, joins, confirmed=after.confirmed)
        after = after.model_copy(update={"meeting": meeting})
    seat = basis.seat if stays else found.seat
    return _conclude(before, after, basis, patch, seat=seat, entry=entry)


def _conclude(
    before: Appointment | Hold | None,
    after: Appointment,
    basis: Basis,
    patch: Patch,
    *,
    seat: int | None = None,
    entry: Entry | None = None,
) -> Decision:
    was = before if isinstance(before, Appointment) else None
    if was is not None and when(was) != when(after):
        after = after.model_copy(update={"time_revision": was.time_revision + 1})
    sequence = (was.sequence if was else 0) + 1
    version = after.version if was else 1
    after = after.model_copy(update={"sequence": sequence, "version": version})
    event = announcement(was, after, patch, account_id=basis.calendar.account_id)
    closes = closing(before, basis, entry=entry, occupies=after.occupies)
    return Decision(before, after, basis, (event,), seat, entry, closes)
