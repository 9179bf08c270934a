"""What becomes of an appointment: booked, moved, cancelled, edited, deleted; and what that announces."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from booking.domain.calendars import PROVIDERS, place_of
from booking.domain.placing import Basis, Place, Session, Wanted, meeting_for, named_host, place
from hoop_events import (
    Appointment,
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentEvent,
    AppointmentRescheduled,
    AppointmentUpdated,
    Change,
    Personal,
)
from shared.errors import StateConflict
from shared.slots import Leaving, epoch_ms

OCCUPYING = frozenset({"new", "confirmed", "active", "showed", "noshow", "completed"})
CONFIRMED = OCCUPYING - {"new"}
OVER = frozenset({"showed", "noshow", "completed"})
MILLISECONDS_A_MINUTE = 60_000


@dataclass(frozen=True)
class Patch:
    """What a client wants to be different; None: as it is (or, at creation, the default)."""

    calendar_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    host: str | None = None
    status: str | None = None
    place: str | None = None
    title: str | None = None
    description: str | None = None
    address: str | None = None
    notify: bool = True
    ignore_range: bool = False
    ignore_rules: bool = False
    delete: bool = False
    actor: str | None = None


@dataclass(frozen=True)
class Entry:
    """The session that an appointment enters: a new one, or one that is there."""

    session_id: str
    opens: bool
    ends: datetime
    stretches: bool


@dataclass(frozen=True)
class Decision:
    """What is to be written: the appointment after it, the session left and entered, the event."""

    before: Appointment | None
    after: Appointment
    basis: Basis
    event: AppointmentEvent
    seat: int | None
    entry: Entry | None
    closes: str | None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Whose time is taken or given back."""
        touched = {*self.after.hosts} if self.entry else set()
        if self.before is not None and self.before.occupies:
            touched |= {*self.before.hosts}
        return tuple(sorted(touched))


@dataclass(frozen=True)
class Newcomer:
    """What a client says of a new appointment besides the time."""

    id: str
    contact_id: str
    contact_name: str


def book(
    basis: Basis, newcomer: Newcomer, patch: Patch, *, session_id: str, now: datetime
) -> Decision:
    """Give the wanted time to the contact, or raise the reason why not."""
    assert patch.start is not None
    calendar = basis.calendar
    start = patch.start
    end = patch.end or start + timedelta(milliseconds=calendar.rules.length)
    status = patch.status or ("confirmed" if calendar.auto_confirms else "new")
    blank = Appointment(
        id=newcomer.id,
        sequence=0,
        version=0,
        calendar_id=calendar.id,
        location_id=calendar.location_id,
        contact_id=newcomer.contact_id,
        start_time=start,
        end_time=end,
        time_zone=calendar.time_zone,
        appointment_status=status,
        occupies=status in OCCUPYING,
        confirmed=status in CONFIRMED,
        session=session_id,
        time_revision=1,
        hosts=(),
        personal=Personal(
            title=patch.title or _title(calendar.settings, newcomer),
            description=patch.description or "",
            address=patch.address or "",
        ),
        date_added=now,
        date_updated=now,
    )
    if not blank.occupies:
        host = named_host(calendar, patch.host)
        return _conclude(None, _placed(blank, basis, Place((host,), 0, None), patch), basis, patch)
    wanted = Wanted(start, end, patch.host, None, patch.ignore_range, patch.ignore_rules)
    found = place(basis, wanted, leaving=None, now=now)
    after = _placed(blank, basis, found, patch)
    return _enter(None, after, basis, found, patch, session_id=session_id)


def _title(settings: Mapping[str, Any], newcomer: Newcomer) -> str:
    template = str(settings.get("eventTitle") or "{{contact.name}}")
    return template.replace("{{contact.name}}", newcomer.contact_name) or "Appointment"


def change(
    before: Appointment, basis: Basis, patch: Patch, *, session_id: str, now: datetime
) -> Decision | None:
    """Apply a patch; None when nothing changes. `basis` is of the calendar it will stand in."""
    if patch.host not in (None, *before.hosts):
        named_host(basis.calendar, patch.host)
    after = _edited(before, patch)
    moves = _moves(before, after, patch)
    if (
        moves
        and before.appointment_status not in ("new", "confirmed", "active")
        and not (after.occupies and not before.occupies)
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


def _edited(before: Appointment, patch: Patch) -> Appointment:
    status = patch.status or before.appointment_status
    start = patch.start or before.start_time
    end = patch.end or start + (before.end_time - before.start_time)
    said = {"title": patch.title, "description": patch.description, "address": patch.address}
    personal = before.personal.model_copy(
        update={name: text for name, text in said.items() if text is not None}
    )
    return before.model_copy(
        update={
            "calendar_id": patch.calendar_id or before.calendar_id,
            "appointment_status": status,
            "occupies": status in OCCUPYING and not patch.delete,
            "deleted": before.deleted or patch.delete,
            "confirmed": before.confirmed or status in CONFIRMED,
            "start_time": start,
            "end_time": end,
            "meeting_location_type": patch.place or before.meeting_location_type,
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
    leaving = _leaving(before, basis)
    wanted = Wanted(
        after.start_time,
        after.end_time,
        patch.host,
        before.hosts[0],
        patch.ignore_range,
        patch.ignore_rules,
    )
    found = place(basis, wanted, leaving=leaving, now=now)
    if _keeps_session(before, after, found):
        found = replace(found, joins=basis.session(before.session))
    after = _placed(after, basis, found, patch)
    return _enter(before, after, basis, found, patch, session_id=session_id)


def _leaving(before: Appointment, basis: Basis) -> Leaving | None:
    session = basis.session(before.session)
    if not before.occupies or session is None:
        return None
    if before.calendar_id != basis.calendar.id and len(session.seats) > 1:
        return None
    start, end = epoch_ms(session.starts), epoch_ms(session.ends)
    return Leaving(before.calendar_id, before.hosts, start, end)


def _keeps_session(before: Appointment, after: Appointment, found: Place) -> bool:
    """Only the end moved: the session, and so the link, stays the same."""
    was = (before.calendar_id, before.start_time, before.hosts)
    return before.occupies and was == (after.calendar_id, after.start_time, found.hosts)


def _placed(after: Appointment, basis: Basis, found: Place, patch: Patch) -> Appointment:
    """The appointment with its hosts, and where it takes place with them."""
    kind, address = place_of(basis.calendar, found.hosts[0])
    if after.meeting_location_type != "default":
        kind, address = after.meeting_location_type, ""
    if patch.place:
        kind, address = patch.place, ""
    rules = basis.calendar.rules
    own = basis.calendar.hosts == (basis.calendar.id,)
    return after.model_copy(
        update={
            "hosts": found.hosts,
            "assigned_user_id": None if own else found.hosts[0],
            "location_id": basis.calendar.location_id,
            "time_zone": basis.calendar.time_zone,
            "buffer_before": rules.before // MILLISECONDS_A_MINUTE,
            "buffer_after": rules.after // MILLISECONDS_A_MINUTE,
            "meeting_location_type": kind,
            "personal": after.personal.model_copy(
                update={"address": after.personal.address or address}
            ),
        }
    )


def _enter(
    before: Appointment | None,
    after: Appointment,
    basis: Basis,
    found: Place,
    patch: Patch,
    *,
    session_id: str,
) -> Decision:
    joins = found.joins
    same = joins is not None and before is not None and joins.id == before.session
    ends = _ends(after, joins, alone=same and joins is not None and len(joins.seats) == 1)
    entry = Entry(
        session_id=joins.id if joins else session_id,
        opens=joins is None,
        ends=ends,
        stretches=joins is not None and ends != joins.ends,
    )
    shared = basis.calendar.rules.capacity > 1 or (joins is not None and joins.shared)
    after = after.model_copy(update={"session": entry.session_id, "shared": shared})
    if not same:
        provider = PROVIDERS.get(after.meeting_location_type)
        meeting = meeting_for(provider, joins, confirmed=after.confirmed)
        after = after.model_copy(update={"meeting": meeting})
    seat = basis.seat if same else found.seat
    return _conclude(before, after, basis, patch, seat=seat, entry=entry)


def _ends(after: Appointment, joins: Session | None, *, alone: bool) -> datetime:
    """A session lasts as long as the longest of its appointments."""
    return after.end_time if joins is None or alone else max(after.end_time, joins.ends)


def _conclude(
    before: Appointment | None,
    after: Appointment,
    basis: Basis,
    patch: Patch,
    *,
    seat: int | None = None,
    entry: Entry | None = None,
) -> Decision:
    if before is not None and _when(before) != _when(after):
        after = after.model_copy(update={"time_revision": before.time_revision + 1})
    sequence = (before.sequence if before else 0) + 1
    version = after.version if before else 1
    after = after.model_copy(update={"sequence": sequence, "version": version})
    event = announcement(before, after, patch, account_id=basis.calendar.account_id)
    closes = _closes(before, basis, entry, after)
    return Decision(before, after, basis, event, seat, entry, closes)


def _when(a: Appointment) -> tuple[object, ...]:
    return (a.start_time, a.end_time, a.hosts)


def _closes(
    before: Appointment | None, basis: Basis, entry: Entry | None, after: Appointment
) -> str | None:
    """The session it leaves as the last one there."""
    if before is None or not before.occupies:
        return None
    leaves = not after.occupies or (entry is not None and entry.session_id != before.session)
    session = basis.session(before.session)
    return before.session if leaves and session and len(session.seats) == 1 else None


def announcement(
    before: Appointment | None, after: Appointment, patch: Patch, *, account_id: str
) -> AppointmentEvent:
    """One event for one change: Deleted before Created before Rescheduled before Updated."""
    kind: type[AppointmentEvent] = AppointmentUpdated
    reason = None
    if (before is not None and before.occupies and not after.occupies) or patch.delete:
        kind = AppointmentDeleted
        reason = "deleted" if patch.delete else after.appointment_status
    elif before is None or (after.occupies and not before.occupies):
        kind = AppointmentCreated
    elif _when(before) != _when(after):
        kind = AppointmentRescheduled
    return kind(
        account_id=account_id,
        state=after,
        change=_difference(before, after, patch, reason),
    )


_BOOKKEEPING = {"sequence", "version", "date_updated", "versions"}


def _difference(
    before: Appointment | None, after: Appointment, patch: Patch, reason: str | None
) -> Change:
    if before is None:
        return Change(notify=patch.notify, actor=patch.actor, reason=reason)
    was = before.model_dump(mode="json", by_alias=True, exclude=_BOOKKEEPING | {"personal"})
    now = after.model_dump(mode="json", by_alias=True, exclude=_BOOKKEEPING | {"personal"})
    fields = [name for name in was if was[name] != now[name]]
    if before.personal != after.personal:
        fields.append("personal")
    previous = {name: was[name] for name in fields if name in was}
    return Change(
        fields=tuple(fields),
        previous=previous,
        notify=patch.notify,
        actor=patch.actor,
        reason=reason,
    )
