"""Finding a session for an appointment: who can take it, in which seat, next to whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from booking.domain.calendars import Calendar
from hoop_events.booking import Appointment, Hold, Meeting
from hoop_platform.errors import CalendarInactive, Refused, SlotUnavailable, WrongLength, invalid
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.engine import Verdict, may_book
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import epoch_ms

NO_MEETING = Meeting()


@dataclass(frozen=True)
class Session:
    """An open session: everybody who is booked with this host, in this calendar, at this start."""

    id: str
    calendar_id: str
    hosts: tuple[str, ...]
    starts: datetime
    ends: datetime
    shared: bool
    revision: int
    seats: frozenset[int]
    resources: tuple[str, ...] = ()
    before: int = 0
    after: int = 0
    """Minutes that its hosts and its room keep free around it."""
    meetings: Mapping[str, Meeting] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.hosts[0]


@dataclass(frozen=True)
class Basis:
    """What a decision stands on, read without locks: it holds while the versions do."""

    calendar: Calendar
    versions: Mapping[str, int]
    """Of the calendar, of its hosts, of what it needs, and of what the appointment occupies now."""
    busy: Mapping[str, Busy] = field(default_factory=dict)
    sessions: tuple[Session, ...] = ()
    """Open ones of the calendar at the wanted start, and the appointment's own."""
    day_counts: Mapping[date, int] = field(default_factory=dict)
    loads: Mapping[str, int] = field(default_factory=dict)
    seat: int | None = None
    """Of the appointment that is being changed."""
    expired: tuple[str, ...] = ()
    """Holds around the wanted time that have run out: to be released before anything is decided."""
    contact_name: str | None = None
    """Of who books, which may be empty; None for a stranger, and where nobody books."""

    def session(self, session_id: str) -> Session | None:
        return next((s for s in self.sessions if s.id == session_id), None)

    def session_at(self, host: str, starts: datetime) -> Session | None:
        """The open session of this calendar with this host at this start."""
        wanted = (self.calendar.id, host, starts)
        return next((s for s in self.sessions if (s.calendar_id, s.host, s.starts) == wanted), None)


@dataclass(frozen=True)
class Place:
    """Where an appointment will sit: an open session that it joins, or a new one."""

    hosts: tuple[str, ...]
    seat: int
    joins: Session | None
    resources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """The time asked for, and how strictly the calendar's rules apply to it."""

    start: datetime
    end: datetime
    host: str | None = None
    prefer: str | None = None
    """Who hosts it now: kept, if free."""
    ignore_range: bool = False
    ignore_rules: bool = False


def place(
    basis: Basis, wanted: Wanted, *, leaving: ExcludedAppointment | None, now: datetime
) -> Place:
    """A place for it, or the reason why there is none."""
    verdict = _verdict(basis, wanted, leaving=leaving, now=now)
    if basis.calendar.rules.all_of:
        return _sit(basis, verdict.hosts, verdict.resources, wanted, leaving)
    if wanted.prefer in verdict.hosts[1:]:
        kept = replace(wanted, host=wanted.prefer, prefer=None)
        verdict = _verdict(basis, kept, leaving=leaving, now=now)
    return _sit(basis, verdict.hosts[:1], verdict.resources, wanted, leaving)


def _verdict(
    basis: Basis, wanted: Wanted, *, leaving: ExcludedAppointment | None, now: datetime
) -> Verdict:
    """The engine's yes."""
    verdict = may_book(
        basis.calendar.rules,
        epoch_ms(wanted.start),
        epoch_ms(wanted.end),
        busy=basis.busy,
        now=epoch_ms(now),
        host=wanted.host,
        seats=_seats(basis),
        day_counts=basis.day_counts,
        loads=basis.loads,
        leave_out=leaving,
        ignore_range=wanted.ignore_range,
        ignore_rules=wanted.ignore_rules,
    )
    if verdict.reason is not None:
        raise refusal(verdict.reason, basis.calendar, wanted)
    return verdict


def leaving(before: Appointment | Hold, basis: Basis) -> ExcludedAppointment | None:
    """What becomes free when it goes, in the words of the engine."""
    session = basis.session(before.session)
    if not before.occupies or session is None:
        return None
    if before.calendar_id != basis.calendar.id and len(session.seats) > 1:
        return None
    start, end = epoch_ms(session.starts), epoch_ms(session.ends)
    return ExcludedAppointment(before.calendar_id, before.hosts, start, end, before.resources)


def _seats(basis: Basis) -> dict[tuple[str, int], Seats]:
    return {
        (host, epoch_ms(s.starts)): Seats(epoch_ms(s.ends), len(s.seats))
        for s in basis.sessions
        if s.calendar_id == basis.calendar.id
        for host in s.hosts
    }


def named_host(calendar: Calendar, host: str | None) -> str:
    """Who hosts what takes no time: the member that was named, else the first; a stranger never."""
    if host is not None and host not in calendar.hosts:
        raise not_a_member(calendar)
    return host or calendar.hosts[0]


class SlotLost(SlotUnavailable):
    """Which time it was, and with whom, for whoever looks for others."""

    def __init__(self, reason: str, calendar_id: str, wanted: Wanted) -> None:
        super().__init__(extra={"reason": reason})
        self.calendar_id = calendar_id
        self.wanted = wanted


def refusal(reason: str, calendar: Calendar, wanted: Wanted) -> Refused:
    """The engine's reason as the refusal that clients of this API know."""
    if reason == "inactive":
        return CalendarInactive()
    if reason == "wrong_length":
        return WrongLength()
    if reason == "not_a_member":
        return not_a_member(calendar)
    return SlotLost(reason, calendar.id, wanted)


def not_a_member(calendar: Calendar) -> Refused:
    text = "The user id not part of calendar team"
    return invalid("assignedUserId", "not_a_member", text, calendar.hosts)


def _sit(
    basis: Basis,
    hosts: tuple[str, ...],
    resources: tuple[str, ...],
    wanted: Wanted,
    leaving: ExcludedAppointment | None,
) -> Place:
    joins = basis.session_at(hosts[0], wanted.start)
    if joins is None or _only_leaves(joins, leaving):
        return Place(hosts, 1, None, resources)
    seat = next(n for n in range(1, len(joins.seats) + 2) if n not in joins.seats)
    return Place(joins.hosts, seat, joins, joins.resources)


def _only_leaves(session: Session, leaving: ExcludedAppointment | None) -> bool:
    """The session is the one being left, and nobody else is in it: it closes, a new one opens."""
    return (
        leaving is not None
        and len(session.seats) == 1
        and (session.calendar_id, epoch_ms(session.starts)) == (leaving.calendar, leaving.start)
        and session.host in leaving.hosts
    )


def meeting_for(provider: str | None, session: Session | None, *, confirmed: bool) -> Meeting:
    """What an appointment shows of its session's meeting when it enters."""
    if provider not in ("zoom", "teams"):
        return NO_MEETING
    if session is not None and provider in session.meetings:
        return session.meetings[provider]
    if not confirmed:
        return Meeting(
            provider=provider,
            state="pending",
            reason="awaiting_confirmation",
            message="The link is made when the appointment is confirmed.",
        )
    return Meeting(provider=provider, state="pending", message="The link is being made.")
