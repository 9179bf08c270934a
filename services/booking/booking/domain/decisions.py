"""What a decision on a seat comes to: the seat after it, its session, and what is announced."""

from dataclasses import dataclass
from datetime import datetime

from booking.domain.placing import Basis, Place, Session
from hoop_events.base import Event
from hoop_events.booking import Appointment, Hold

Seated = Appointment | Hold
"""What takes a seat: an appointment, or a hold that keeps one for a while."""


@dataclass(frozen=True)
class Entry:
    """The session that it enters: a new one, or one that is there.

    `alone`: it stays where nobody else sits, so the session's place and end are this one's.
    A hold that becomes an appointment sits there already, whatever the rules are by then.
    """

    session_id: str
    ends: datetime
    opens: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Decision:
    """What is to be written. `after` None: the seat goes; the first event tells of `after`."""

    before: Seated | None
    after: Seated | None
    basis: Basis
    events: tuple[Event, ...]
    seat: int | None = None
    entry: Entry | None = None
    closes: str | None = None

    @property
    def id(self) -> str:
        return self.events[0].subject if self.after is None else self.after.id

    @property
    def account_id(self) -> str:
        return self.basis.calendar.account_id

    @property
    def calendars(self) -> tuple[str, ...]:
        """Calendars that were looked at, or are the hosts of what is left: locked first."""
        before = self.before
        left = {before.calendar_id} & {*before.hosts} if before is not None else set()
        return tuple(sorted({self.basis.calendar.id} | left))

    @property
    def counts(self) -> bool:
        """It changes what the next one may do on these calendars: limits, and time of their own."""
        rules = self.basis.calendar.rules
        return (
            rules.per_day > 0
            or rules.equal_distribution
            or not self.takes.isdisjoint(self.calendars)
        )

    @property
    def taken(self) -> tuple[str, ...]:
        """Hosts, rooms and equipment, except calendars, whose time is taken or given back."""
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
        """The open sessions that are left or entered: they must be as they were read."""
        before, entry = self.before, self.entry
        left = {before.session} if before is not None and before.occupies else set()
        return left | ({entry.session_id} if entry is not None and not entry.opens else set())


def entering(before: Seated | None, after: Seated, found: Place, *, session_id: str) -> Entry:
    """The session of the place that was found; `session_id` is that of a new one."""
    joins = found.joins
    if joins is None:
        return Entry(session_id, after.end_time, opens=True)
    stays = isinstance(before, Appointment) and before.occupies and joins.id == before.session
    alone = stays and len(joins.seats) == 1
    ends = after.end_time if alone else max(after.end_time, joins.ends)
    return Entry(joins.id, ends, alone=alone)


def buffers(basis: Basis, entry: Entry, joins: Session | None) -> dict[str, int]:
    """The buffers that apply: of who joins a session, those it was opened with."""
    if joins is not None and not entry.alone:
        return {"buffer_before": joins.before, "buffer_after": joins.after}
    rules = basis.calendar.rules
    return {"buffer_before": rules.before // 60_000, "buffer_after": rules.after // 60_000}


def closing(
    before: Seated | None, basis: Basis, *, entry: Entry | None, occupies: bool
) -> str | None:
    """The session that it leaves as the last one there."""
    if before is None or not before.occupies:
        return None
    leaves = not occupies or (entry is not None and entry.session_id != before.session)
    session = basis.session(before.session)
    return before.session if leaves and session and len(session.seats) == 1 else None
