"""A decision on a seat: the appointment or hold afterwards, its session, and the events to announce."""

from dataclasses import dataclass
from datetime import datetime

from booking.domain.assignment import SeatAssignment
from booking.domain.commands import AppointmentPatch
from booking.domain.events import appointment_event, time_and_hosts
from booking.domain.snapshot import Session, Snapshot
from booking.domain.venue import meeting_for, with_venue
from hoop_events.base import Event
from hoop_events.booking import Appointment, Hold
from hoop_events.meeting_locations import PROVIDER_OF_LOCATION_TYPE

Occupant = Appointment | Hold
"""What takes a seat of a session: an appointment, or a hold."""


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
class Decision:
    """What is to be committed. `after` None: the seat is given back.

    With an `after`, the first event carries its state.
    """

    before: Occupant | None
    after: Occupant | None
    snapshot: Snapshot
    events: tuple[Event, ...]
    seat: int | None = None
    entry: SessionEntry | None = None
    closes: str | None = None

    @property
    def id(self) -> str:
        return self.events[0].subject if self.after is None else self.after.id

    @property
    def account_id(self) -> str:
        return self.snapshot.calendar.account_id

    @property
    def calendars(self) -> tuple[str, ...]:
        """The snapshot's calendar, and the one left behind if it is its own host: locked first."""
        before = self.before
        left = {before.calendar_id} & {*before.hosts} if before is not None else set()
        return tuple(sorted({self.snapshot.calendar.id} | left))

    @property
    def counts(self) -> bool:
        """Whether the calendars' versions grow: with limits, or where a calendar is its own host."""
        rules = self.snapshot.calendar.rules
        return (
            rules.per_day > 0
            or rules.equal_distribution
            or not self.takes.isdisjoint(self.calendars)
        )

    @property
    def taken(self) -> tuple[str, ...]:
        """Hosts, rooms and equipment, without calendars, whose time is taken or given back."""
        return tuple(sorted(self.takes.difference(self.calendars)))

    @property
    def takes(self) -> set[str]:
        takes: set[str] = set()
        if self.after is not None and self.entry is not None:
            takes |= {*self.after.hosts, *self.after.resources}
        if self.before is not None and self.before.occupies:
            takes |= {*self.before.hosts, *self.before.resources}
        return takes

    @property
    def sessions(self) -> set[str]:
        """The open sessions that are left or entered: their revisions must not have changed."""
        before, entry = self.before, self.entry
        left = {before.session} if before is not None and before.occupies else set()
        return left | ({entry.session_id} if entry is not None and not entry.opens else set())


def enter_session(
    before: Occupant | None, after: Occupant, found: SeatAssignment, *, session_id: str
) -> SessionEntry:
    """The entry into the assigned session; `session_id` is the id of a new one."""
    joins = found.joins
    if joins is None:
        return SessionEntry(session_id, after.end_time, opens=True)
    stays = isinstance(before, Appointment) and before.occupies and joins.id == before.session
    alone = stays and len(joins.seats) == 1
    ends = after.end_time if alone else max(after.end_time, joins.ends)
    return SessionEntry(joins.id, ends, alone=alone)


def buffers(snapshot: Snapshot, entry: SessionEntry, joins: Session | None) -> dict[str, int]:
    """The buffers in minutes: in a session with others, those with which it was opened."""
    if joins is not None and not entry.alone:
        return {"buffer_before": joins.before, "buffer_after": joins.after}
    rules = snapshot.calendar.rules
    return {"buffer_before": rules.before // 60_000, "buffer_after": rules.after // 60_000}


def closed_session(
    before: Occupant | None, snapshot: Snapshot, *, entry: SessionEntry | None, occupies: bool
) -> str | None:
    """The id of the session that the occupant leaves as the last one; None if there is none."""
    if before is None or not before.occupies:
        return None
    leaves = not occupies or (entry is not None and entry.session_id != before.session)
    session = snapshot.session(before.session)
    return before.session if leaves and session and len(session.seats) == 1 else None


def with_assignment(
    after: Appointment, snapshot: Snapshot, found: SeatAssignment, patch: AppointmentPatch
) -> Appointment:
    """The appointment with the assigned hosts and resources, and with its venue."""
    calendar = snapshot.calendar
    own = calendar.hosts == (calendar.id,)
    after = after.model_copy(
        update={
            "hosts": found.hosts,
            "resources": found.resources,
            "assigned_user_id": None if own else found.hosts[0],
            "location_id": calendar.location_id,
            "time_zone": calendar.time_zone,
        }
    )
    return with_venue(after, calendar, found.hosts[0], patch, reassigned=True)


def decide_entry(
    before: Occupant | None,
    after: Appointment,
    snapshot: Snapshot,
    found: SeatAssignment,
    patch: AppointmentPatch,
    *,
    session_id: str,
) -> Decision:
    """The decision that the appointment takes the assigned seat, and leaves its old session."""
    joins = found.joins
    left = before.session if before is not None and before.occupies else None
    stays = joins is not None and joins.id == left
    entry = enter_session(before, after, found, session_id=session_id)
    shared = snapshot.calendar.rules.capacity > 1 or (joins is not None and joins.shared)
    entered = {"session": entry.session_id, "shared": shared, **buffers(snapshot, entry, joins)}
    after = after.model_copy(update=entered)
    if not stays or not isinstance(before, Appointment):
        provider = PROVIDER_OF_LOCATION_TYPE.get(after.meeting_location_type)
        meeting = meeting_for(provider, joins, confirmed=after.confirmed)
        after = after.model_copy(update={"meeting": meeting})
    seat = snapshot.seat if stays else found.seat
    return decide(before, after, snapshot, patch, seat=seat, entry=entry)


def decide(
    before: Occupant | None,
    after: Appointment,
    snapshot: Snapshot,
    patch: AppointmentPatch,
    *,
    seat: int | None = None,
    entry: SessionEntry | None = None,
) -> Decision:
    """The decision with its event; sequence, version and time revision of `after` are set here."""
    was = before if isinstance(before, Appointment) else None
    if was is not None and time_and_hosts(was) != time_and_hosts(after):
        after = after.model_copy(update={"time_revision": was.time_revision + 1})
    sequence = (was.sequence if was else 0) + 1
    version = after.version if was else 1
    after = after.model_copy(update={"sequence": sequence, "version": version})
    event = appointment_event(was, after, patch, account_id=snapshot.calendar.account_id)
    closes = closed_session(before, snapshot, entry=entry, occupies=after.occupies)
    return Decision(before, after, snapshot, (event,), seat, entry, closes)
