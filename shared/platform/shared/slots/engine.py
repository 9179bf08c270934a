"""The slot engine: which starts are free, and may this one be booked, from one computation.

`may_book` asks for the free starts of a window that holds only the wanted one, so what is offered
is bookable and what is bookable is offered. Pure: times are epoch milliseconds, `now` is given.

What is taken is asked for in the same words by all three questions:

`busy`        everything that occupies a host, of all calendars and none, this calendar's own
              sessions included. Under the calendar's own id: what blocks it, whoever the host.
`seats`       this calendar's sessions by (host, start), a collective one under each of its hosts;
              needed only where a session has or had more than one seat.
`day_counts`  this calendar's occupying appointments by local date; needed only with `per_day`.
`leave_out`   an appointment that is being moved: answered as if it were gone.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import compress
from typing import Literal, NamedTuple

from shared.slots.busy import Busy, Seats
from shared.slots.free import Ask, Free, Taken, Window, flags, free, grid_of
from shared.slots.hours import fits
from shared.slots.rules import Host, Rules
from shared.slots.zones import day_of

Reason = Literal[
    "inactive",
    "not_a_member",
    "wrong_length",
    "notice",
    "horizon",
    "closed",
    "not_on_grid",
    "day_full",
    "full",
    "busy",
]


class Leaving(NamedTuple):
    """An appointment that is being moved, as it stands in what is taken.

    Of the asked calendar: it frees its seat, its place in the day, and, the last of its session,
    its hosts' time. Of another calendar: its hosts' time, so name it only if it is the last there.
    """

    calendar: str
    hosts: Collection[str]
    start: int
    end: int


class Slot(NamedTuple):
    """A bookable start: until when, the hosts who can take it, and the seats they have left."""

    start: int
    end: int
    hosts: tuple[str, ...]
    seats_left: int


@dataclass(frozen=True)
class Verdict:
    """The hosts who can take the booking, in the order to be tried, or the reason why nobody can.

    Of a collective calendar: all hosts, the primary first; they are booked together.
    """

    hosts: tuple[str, ...] = ()
    reason: Reason | None = None

    def __bool__(self) -> bool:
        return self.reason is None


def free_starts(
    rules: Rules,
    *,
    busy: Mapping[str, Busy],
    window: Window,
    now: int,
    seats: Mapping[tuple[str, int], Seats] | None = None,
    day_counts: Mapping[date, int] | None = None,
    hosts: Collection[str] | None = None,
    leave_out: Leaving | None = None,
) -> list[int]:
    """The bookable starts within the window [from, to), sorted; nothing else is said of them.

    `hosts`: only with one of these (of a collective calendar: all the same, if they are members).
    """
    taken = _taken(rules, Taken(busy, seats or {}, day_counts or {}), leave_out)
    found = free(
        Ask(rules, _candidates(rules, hosts), rules.length), taken, _range(rules, window, now)
    )
    return list(compress(found.points, flags(found.bits, len(found.points))))


def free_slots(
    rules: Rules,
    *,
    busy: Mapping[str, Busy],
    window: Window,
    now: int,
    seats: Mapping[tuple[str, int], Seats] | None = None,
    day_counts: Mapping[date, int] | None = None,
    hosts: Collection[str] | None = None,
    leave_out: Leaving | None = None,
) -> list[Slot]:
    """The same starts, each with its end, its eligible hosts and the seats left."""
    taken = _taken(rules, Taken(busy, seats or {}, day_counts or {}), leave_out)
    ask = Ask(rules, _candidates(rules, hosts), rules.length)
    found = free(ask, taken, _range(rules, window, now))
    count = len(found.points)
    eligible = [flags(bits, count) for bits in found.eligible]
    return [
        _slot(ask, taken, start, tuple(compress(ask.host_ids, can)))
        for start, *can in compress(
            zip(found.points, *eligible, strict=True), flags(found.bits, count)
        )
    ]


def may_book(
    rules: Rules,
    start: int,
    end: int,
    *,
    busy: Mapping[str, Busy],
    now: int,
    host: str | None = None,
    seats: Mapping[tuple[str, int], Seats] | None = None,
    day_counts: Mapping[date, int] | None = None,
    loads: Mapping[str, int] | None = None,
    leave_out: Leaving | None = None,
    ignore_range: bool = False,
    ignore_rules: bool = False,
) -> Verdict:
    """Whether [start, end) may be booked, by that host or by anyone.

    `loads`: occupying appointments of each host in the month of the start, for equal distribution.
    `ignore_range` skips minimum notice and horizon; `ignore_rules` skips these, the hours, the
    grid, the length, the daily limit and all buffers, but never core times, seats or `inactive`.
    """
    taken = _taken(rules, Taken(busy, seats or {}, day_counts or {}), leave_out)
    hosts = _candidates(rules, None if host is None else (host,))
    ask = Ask(rules, hosts, end - start, strict=not ignore_rules)
    range_applies = not (ignore_range or ignore_rules)
    window = (start, start + 1)
    if ask.possible:
        found = free(ask, taken, _range(rules, window, now) if range_applies else window)
        if found.bits:
            return Verdict(_in_order(ask, found, loads or {}))
    return Verdict(reason=_reason(ask, taken, start, now=now if range_applies else None))


def _candidates(rules: Rules, asked: Collection[str] | None) -> tuple[Host, ...]:
    if asked is None:
        return rules.hosts
    members = tuple(host for host in rules.hosts if host.id in asked)
    return rules.hosts if rules.all_of and members else members


def _range(rules: Rules, window: Window, now: int) -> Window:
    """What minimum notice and horizon leave of the window."""
    latest = rules.latest(now)
    end = window[1] if latest is None else min(window[1], latest + 1)
    return max(window[0], rules.earliest(now)), end


def _taken(rules: Rules, taken: Taken, leaving: Leaving | None) -> Taken:
    """What is taken once the appointment has left."""
    if leaving is None:
        return taken
    busy, seats, counts = dict(taken.busy), dict(taken.seats), dict(taken.day_counts)
    own = leaving.calendar == rules.calendar
    if own:
        day = day_of(leaving.start, rules.zone)
        counts[day] = counts.get(day, 1) - 1
    for host in leaving.hosts:
        session = seats.pop((host, leaving.start), None) if own else None
        if session is not None and session.taken > 1:
            seats[host, leaving.start] = session._replace(taken=session.taken - 1)
        elif host in busy:
            end = leaving.end if session is None else session.end
            busy[host] = busy[host].without(leaving.start, end)
    return Taken(busy, seats, counts)


def _slot(ask: Ask, taken: Taken, start: int, hosts: tuple[str, ...]) -> Slot:
    left = [
        ask.rules.capacity - (taken.seats[host, start].taken if (host, start) in taken.seats else 0)
        for host in hosts
    ]
    return Slot(start, start + ask.length, hosts, min(left) if ask.rules.all_of else sum(left))


def _in_order(ask: Ask, found: Free, loads: Mapping[str, int]) -> tuple[str, ...]:
    """A class fills its open session first; then the least loaded, or the highest priority."""
    if ask.rules.all_of:
        return ask.host_ids

    def key(candidate: tuple[Host, int]) -> tuple[bool, float, str]:
        host, joins = candidate
        open_class = bool(joins) and ask.rules.kind == "class_booking"
        load = loads.get(host.id, 0) / (1 + 2 * host.priority)
        return (not open_class, load if ask.rules.equal_distribution else -host.priority, host.id)

    able = compress(zip(ask.hosts, found.joins, strict=True), found.eligible)
    return tuple(host.id for host, _ in sorted(able, key=key))


def _reason(ask: Ask, taken: Taken, start: int, *, now: int | None) -> Reason:
    """The first rule that says no to a start that is known not to be free."""
    rules = ask.rules
    latest = None if now is None else rules.latest(now)
    checks: tuple[tuple[Reason, Callable[[], bool]], ...] = (
        ("inactive", lambda: not rules.active),
        ("not_a_member", lambda: not ask.hosts),
        ("wrong_length", lambda: not ask.possible),
        ("notice", lambda: now is not None and start < rules.earliest(now)),
        ("horizon", lambda: latest is not None and start > latest),
        ("closed", lambda: ask.strict and not _open(ask, start)),
        ("not_on_grid", lambda: not grid_of(ask, (start, start + 1))[0]),
        ("day_full", lambda: ask.strict and taken.day_is_full(rules, start)),
        ("full", lambda: taken.is_full(ask, start)),
    )
    return next((reason for reason, holds in checks if holds()), "busy")


def _open(ask: Ask, start: int) -> bool:
    every = all if ask.rules.all_of else any
    return every(fits(host.plan, [start], ask.length) for host in ask.hosts)
