"""A decision on a seat: the appointment or hold afterwards, what has to be locked, and the events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from booking.domain.assignment import SeatAssignment
from booking.domain.commands import AppointmentPatch
from booking.domain.snapshot import Snapshot
from hoop_events.base import Change, Event, Gone
from hoop_events.booking import (
    Appointment,
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentEvent,
    AppointmentRescheduled,
    AppointmentUpdated,
    Hold,
    HoldDeleted,
)

Occupant = Appointment | Hold
"""What takes a seat of a session: an appointment, or a hold."""

_BOOKKEEPING = {"sequence", "version", "date_updated", "versions", "personal"}


@dataclass(frozen=True)
class SessionEntry:
    """The session that an occupant enters: a new one (`opens`), or an open one.

    `alone`: the occupant stays in a session that has no other, so the session's time follows it.
    """

    session_id: str
    ends: datetime
    opens: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Locks:
    """What a decision locks, and whose versions it raises.

    `calendars`: the snapshot's, and the one left behind if it is its own host; they are locked first,
    and their versions grow if `counts`. `taken`: hosts, rooms and equipment whose time is taken or
    given back; their versions grow.
    """

    calendars: tuple[str, ...]
    taken: tuple[str, ...]
    counts: bool
    versions: dict[str, int]
    """Of all of them, after the commit."""


@dataclass(frozen=True)
class Decision:
    """What is to be committed. `after` None: the seat is given back.

    With an `after`, the first event carries its state. State and events are final: they have the
    sequence and the versions that the commit makes true.
    """

    before: Occupant | None
    after: Occupant | None
    snapshot: Snapshot
    events: tuple[Event, ...]
    locks: Locks
    seat: int | None = None
    entry: SessionEntry | None = None
    closes: str | None = None

    @property
    def stays(self) -> bool:
        """Whether an appointment keeps the seat that it had."""
        before, after = self.before, self.after
        return (
            isinstance(before, Appointment)
            and after is not None
            and before.occupies
            and after.occupies
            and before.session == after.session
        )

    @property
    def takes_contact_once(self) -> bool:
        """Whether its session may give its contact no other seat."""
        calendar = self.snapshot.calendar
        return calendar.rules.capacity > 1 and not calendar.allows_same_contact


def enter_session(
    before: Occupant | None, ends: datetime, found: SeatAssignment, *, session_id: str
) -> SessionEntry:
    """The entry into the assigned session; `session_id` is the id of a new one."""
    joins = found.joins
    if joins is None:
        return SessionEntry(session_id, ends, opens=True)
    stays = isinstance(before, Appointment) and before.occupies and joins.id == before.session
    alone = stays and len(joins.seats) == 1
    return SessionEntry(joins.id, ends if alone else max(ends, joins.ends), alone=alone)


def entered(snapshot: Snapshot, entry: SessionEntry, found: SeatAssignment) -> dict[str, Any]:
    """The fields of an occupant that follow from its seat.

    The buffers in minutes: in a session with others, those with which it was opened.
    """
    joins, rules = found.joins, snapshot.calendar.rules
    buffers = (rules.before // 60_000, rules.after // 60_000)
    if joins is not None and not entry.alone:
        buffers = (joins.before, joins.after)
    return {
        "location_id": snapshot.calendar.location_id,
        "time_zone": snapshot.calendar.time_zone,
        "hosts": found.hosts,
        "resources": found.resources,
        "session": entry.session_id,
        "buffer_before": buffers[0],
        "buffer_after": buffers[1],
    }


def locks(
    before: Occupant | None, snapshot: Snapshot, entry: SessionEntry | None, takes: Iterable[str]
) -> Locks:
    """The locks of a decision; `takes`: the hosts and resources afterwards, if it enters a session."""
    calendar, rules = snapshot.calendar, snapshot.calendar.rules
    all_taken = {*takes} if entry is not None else set()
    first = {calendar.id}
    if before is not None:
        first |= {before.calendar_id} & {*before.hosts}
        if before.occupies:
            all_taken |= {*before.hosts, *before.resources}
    counts = rules.per_day > 0 or rules.equal_distribution or not all_taken.isdisjoint(first)
    calendars, taken = tuple(sorted(first)), tuple(sorted(all_taken - first))
    raised = {key: snapshot.versions.get(key, 0) + counts for key in calendars}
    raised |= {key: snapshot.versions.get(key, 0) + 1 for key in taken}
    return Locks(calendars, taken, counts, raised)


def closed_session(
    before: Occupant | None, snapshot: Snapshot, *, entry: SessionEntry | None, occupies: bool
) -> str | None:
    """The id of the session that the occupant leaves as the last one; None if there is none."""
    if before is None or not before.occupies:
        return None
    leaves = not occupies or (entry is not None and entry.session_id != before.session)
    session = snapshot.sessions.get(before.session)
    return before.session if leaves and session and len(session.seats) == 1 else None


def hold_deleted(
    hold: Hold, snapshot: Snapshot, fixed: Locks, *, reason: str, actor: str | None
) -> HoldDeleted:
    """The event that announces the end of a hold: `booked`, `released` or `expired`."""
    return HoldDeleted(
        account_id=snapshot.calendar.account_id,
        state=Gone(id=hold.id, sequence=hold.sequence + 1, versions=fixed.versions),
        change=Change(reason=reason, actor=actor),
    )


def changed(
    account_id: str, before: Appointment, after: Appointment, patch: AppointmentPatch
) -> AppointmentEvent:
    """One event for one change: Deleted before Created before Rescheduled before Updated."""
    kind: type[AppointmentEvent] = AppointmentUpdated
    reason = None
    if (before.occupies and not after.occupies) or patch.delete:
        kind = AppointmentDeleted
        reason = patch.delete_reason if patch.delete else after.appointment_status
    elif after.occupies and not before.occupies:
        kind = AppointmentCreated
    elif time_and_hosts(before) != time_and_hosts(after):
        kind = AppointmentRescheduled
    change = _difference(before, after, patch, reason)
    return kind(account_id=account_id, state=after, change=change)


def time_and_hosts(appointment: Appointment) -> tuple[object, ...]:
    """What an appointment must keep in order not to count as rescheduled."""
    return (appointment.start_time, appointment.end_time, appointment.hosts)


def _difference(
    before: Appointment, after: Appointment, patch: AppointmentPatch, reason: str | None
) -> Change:
    was = before.model_dump(mode="json", by_alias=True, exclude=_BOOKKEEPING)
    now = after.model_dump(mode="json", by_alias=True, exclude=_BOOKKEEPING)
    previous = {name: value for name, value in was.items() if value != now[name]}
    fields = (*previous, *(["personal"] if before.personal != after.personal else ()))
    return Change(
        fields=fields, previous=previous, notify=patch.notify, actor=patch.actor, reason=reason
    )


def decide_new(
    snapshot: Snapshot,
    patch: AppointmentPatch,
    found: SeatAssignment,
    entry: SessionEntry | None,
    fields: Mapping[str, Any],
    *,
    hold: Hold | None = None,
) -> Decision:
    """The decision on a new appointment, which is made here, once, as it will be stored."""
    fixed = locks(hold, snapshot, entry, (*found.hosts, *found.resources))
    seat = {} if entry is None else entered(snapshot, entry, found)
    after = Appointment(**{**fields, **seat}, versions=fixed.versions)
    change = Change(notify=patch.notify, actor=patch.actor)
    account_id = snapshot.calendar.account_id
    events: tuple[Event, ...] = (
        AppointmentCreated(account_id=account_id, state=after, change=change),
    )
    if hold is not None:
        events += (hold_deleted(hold, snapshot, fixed, reason="booked", actor=patch.actor),)
    return Decision(hold, after, snapshot, events, fixed, found.seat if entry else None, entry)


def decide_change(
    before: Appointment,
    after: Appointment,
    snapshot: Snapshot,
    patch: AppointmentPatch,
    fields: Mapping[str, Any],
    *,
    now: datetime,
    seat: int | None = None,
    entry: SessionEntry | None = None,
) -> Decision:
    """The decision on a change: `after` gets these fields, and what counts its changes."""
    takes = (*fields.get("hosts", ()), *fields.get("resources", ()))
    fixed = locks(before, snapshot, entry, takes)
    hosts = fields.get("hosts", after.hosts)
    rescheduled = time_and_hosts(before) != (after.start_time, after.end_time, hosts)
    counted = {
        "sequence": before.sequence + 1,
        "version": before.version + 1,
        "time_revision": before.time_revision + rescheduled,
        "date_updated": now,
        "versions": fixed.versions,
        "needs_host": before.needs_host and after.occupies and hosts == before.hosts,
    }
    after = after.model_copy(update={**fields, **counted})
    event = changed(snapshot.calendar.account_id, before, after, patch)
    closes = closed_session(before, snapshot, entry=entry, occupies=after.occupies)
    return Decision(before, after, snapshot, (event,), fixed, seat, entry, closes)
