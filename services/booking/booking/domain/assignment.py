"""Assigning a seat: the session, the hosts, the resources, the meeting; or the refusal."""

from dataclasses import dataclass, replace
from datetime import datetime

from booking.domain.calendars import Calendar
from booking.domain.requested_time import RequestedTime, SlotLost, not_a_member, refusal
from booking.domain.snapshot import Session, Snapshot
from hoop_events.booking import Appointment, Hold, Meeting
from hoop_events.meeting_locations import PROVIDER_OF_LOCATION_TYPE, PROVIDERS_WITH_ADAPTER
from hoop_platform.errors import AlreadyAttending, NoHost, invalid
from hoop_scheduling.busy import Seats
from hoop_scheduling.engine import Verdict, may_book
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import epoch_ms, spans_at_most

NO_MEETING = Meeting()
MAX_APPOINTMENT = 31
"""Local days."""


@dataclass(frozen=True)
class SeatAssignment:
    """The seat of an appointment: in an open session (`joins`), or in a new one (None)."""

    hosts: tuple[str, ...]
    seat: int
    joins: Session | None
    resources: tuple[str, ...] = ()


def assign_seat(
    snapshot: Snapshot,
    request: RequestedTime,
    *,
    excluded: ExcludedAppointment | None,
    now: datetime,
) -> SeatAssignment:
    """A seat at the requested time; raises the refusal, with its reason, when there is none.

    `excluded` is what the appointment itself occupies before the change.
    """
    check_length(request.start, request.end, snapshot.calendar.time_zone)
    verdict = _verdict(snapshot, request, excluded=excluded, now=now)
    if snapshot.calendar.rules.all_of:
        return _assign(snapshot, verdict.hosts, verdict.resources, request, excluded)
    chosen = _chosen_host(snapshot, request, verdict)
    if chosen != verdict.hosts[0]:
        verdict = _verdict(snapshot, replace(request, host=chosen), excluded=excluded, now=now)
    return _assign(snapshot, (chosen,), verdict.resources, request, excluded)


def _chosen_host(snapshot: Snapshot, request: RequestedTime, verdict: Verdict) -> str:
    """The preferred one of the hosts who can take it, else the first who is not to be replaced.

    Instead of one who is replaced, a host with an open session comes first: groups stay together.
    """
    if request.prefer is not None and request.prefer in verdict.hosts:
        return request.prefer
    if request.relieve is None:
        return verdict.hosts[0]
    able = [host for host in verdict.hosts if host != request.relieve]
    if not able:
        raise SlotLost("busy", snapshot.calendar.id, request)
    here = (snapshot.calendar.id, request.start)
    at_work = {s.hosts[0] for s in snapshot.sessions.values() if (s.calendar_id, s.starts) == here}
    return next((host for host in able if host in at_work), able[0])


def _verdict(
    snapshot: Snapshot,
    request: RequestedTime,
    *,
    excluded: ExcludedAppointment | None,
    now: datetime,
) -> Verdict:
    """The slot engine's verdict, which is positive; a negative one is raised as a refusal."""
    verdict = _engine_verdict(snapshot, request, excluded=excluded, now=now)
    if verdict.reason is None:
        return verdict
    if verdict.reason == "full":
        for session in _requested_sessions(snapshot, request):
            check_attendance(snapshot, session)
    refused = refusal(verdict.reason, snapshot.calendar, request)
    if isinstance(refused, SlotLost) and request.host and not snapshot.calendar.rules.all_of:
        others = replace(request, host=None)
        able = _engine_verdict(snapshot, others, excluded=excluded, now=now).hosts
        free = tuple(host for host in able if host != request.relieve)
        raise SlotLost(verdict.reason, snapshot.calendar.id, request, free_hosts=free)
    raise refused


def _engine_verdict(
    snapshot: Snapshot,
    request: RequestedTime,
    *,
    excluded: ExcludedAppointment | None,
    now: datetime,
) -> Verdict:
    return may_book(
        snapshot.calendar.rules,
        epoch_ms(request.start),
        epoch_ms(request.end),
        busy=snapshot.busy,
        now=epoch_ms(now),
        host=request.host,
        seats=_seats(snapshot),
        day_counts=snapshot.day_counts,
        loads=snapshot.loads,
        leave_out=excluded,
        ignore_range=request.ignore_range,
        ignore_rules=request.ignore_rules,
        any_length=request.any_length,
    )


def check_attendance(snapshot: Snapshot, session: Session | None) -> None:
    """Refuse a second seat of a session to its contact, unless the calendar allows that."""
    attending = None if session is None else session.attending
    if attending is not None and not snapshot.calendar.allows_same_contact:
        raise AlreadyAttending(extra={"appointmentId": attending})


def _requested_sessions(snapshot: Snapshot, request: RequestedTime) -> list[Session]:
    """The sessions with several seats at the requested time, of the requested host if there is one."""
    return [
        session
        for session in snapshot.sessions.values()
        if snapshot.calendar.rules.capacity > 1
        and (session.calendar_id, session.starts) == (snapshot.calendar.id, request.start)
        and request.host in (None, *session.hosts)
    ]


def check_length(start: datetime, end: datetime, zone: str) -> None:
    """Refuse the times of an appointment or a hold that end too early or too late.

    Its days are counted in `zone`, its calendar's.
    """
    if not start < end or not spans_at_most(MAX_APPOINTMENT, epoch_ms(start), epoch_ms(end), zone):
        text = f"must be later than startTime, by {MAX_APPOINTMENT} local days at most"
        raise invalid("endTime", "end_time", text)


def excluded_appointment(
    before: Appointment | Hold, snapshot: Snapshot
) -> ExcludedAppointment | None:
    """What becomes free when the appointment leaves its session, as the slot engine takes it.

    None when nothing becomes free for this calendar.
    """
    session = snapshot.sessions.get(before.session)
    if not before.occupies or session is None:
        return None
    if before.calendar_id != snapshot.calendar.id and len(session.seats) > 1:
        return None
    start, end = epoch_ms(session.starts), epoch_ms(session.ends)
    return ExcludedAppointment(before.calendar_id, before.hosts, start, end, before.resources)


def _seats(snapshot: Snapshot) -> dict[tuple[str, int], Seats]:
    return {
        (host, epoch_ms(s.starts)): Seats(epoch_ms(s.ends), len(s.seats))
        for s in snapshot.sessions.values()
        if s.calendar_id == snapshot.calendar.id
        for host in s.hosts
    }


def named_host(calendar: Calendar, host: str | None) -> str:
    """The host of an appointment that takes no time: the named member, else the first.

    Raises `Invalid` when the named host is not a member, `NoHost` when there is none.
    """
    if not calendar.hosts:
        raise NoHost
    if host is not None and host not in calendar.hosts:
        raise not_a_member(calendar)
    return host or calendar.hosts[0]


def overlaps_buffer(snapshot: Snapshot, found: SeatAssignment, request: RequestedTime) -> bool:
    """Whether the new session of this assignment lies within a buffer, its own or that of another."""
    rules = snapshot.calendar.rules
    start, end = epoch_ms(request.start), epoch_ms(request.end)
    taken = (snapshot.calendar.id, *found.hosts, *(r for r in found.resources if r in rules.rooms))
    return found.joins is None and any(
        snapshot.busy[one].blocked([start], end - start, (rules.before, rules.after))
        for one in taken
        if one in snapshot.busy
    )


def _assign(
    snapshot: Snapshot,
    hosts: tuple[str, ...],
    resources: tuple[str, ...],
    request: RequestedTime,
    excluded: ExcludedAppointment | None,
) -> SeatAssignment:
    key = (snapshot.calendar.id, hosts[0], request.start)
    found = (s for s in snapshot.sessions.values() if (s.calendar_id, s.hosts[0], s.starts) == key)
    joins = next(found, None)
    if joins is None or _is_left_empty(joins, excluded):
        return SeatAssignment(hosts, 1, None, resources)
    seat = next(n for n in range(1, len(joins.seats) + 2) if n not in joins.seats)
    return SeatAssignment(joins.hosts, seat, joins, joins.resources)


def _is_left_empty(session: Session, excluded: ExcludedAppointment | None) -> bool:
    """Whether the excluded appointment is the only one in the session, which then closes."""
    return (
        excluded is not None
        and len(session.seats) == 1
        and (session.calendar_id, epoch_ms(session.starts)) == (excluded.calendar, excluded.start)
        and session.hosts[0] in excluded.hosts
    )


def assigned_user(snapshot: Snapshot, found: SeatAssignment) -> str | None:
    """The user of the API's `assignedUserId`: the first host, unless the calendar is its own."""
    calendar = snapshot.calendar
    return None if calendar.hosts == (calendar.id,) else found.hosts[0]


def is_shared(snapshot: Snapshot, joins: Session | None) -> bool:
    """Whether the session has several seats, or had when it was opened."""
    return snapshot.calendar.rules.capacity > 1 or (joins is not None and joins.shared)


def meeting_for(kind: str, session: Session | None, *, confirmed: bool) -> Meeting:
    """The meeting that an appointment of this location type shows when it enters a session.

    `session` None: a new one.
    """
    provider = PROVIDER_OF_LOCATION_TYPE.get(kind)
    if provider is None:
        return NO_MEETING
    if provider not in PROVIDERS_WITH_ADAPTER:
        return Meeting(
            provider=provider,
            state="blocked",
            reason="integration_missing",
            message="There is no integration that creates this link; choose another location.",
        )
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
