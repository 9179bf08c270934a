"""The computation itself: one bit for each point of the grid, and integer algebra on the bits.

A list of points (possible starts, sorted) is laid first; then each host is an integer whose bit i
says whether the host can take point i. So a team costs an AND or an OR, and nothing is made for a
slot before the answer is known.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, reduce
from operator import and_, or_
from typing import NamedTuple

from shared.slots.busy import Busy, Seats
from shared.slots.hours import Plan, Span, fits, starts
from shared.slots.rules import Host, Rules
from shared.slots.zones import day_number, day_of, day_stretches

Window = Span

_FREE = Busy()
_FLAGS = bytes.maketrans(b"01", b"\0\1")


@dataclass(frozen=True)
class Taken:
    """What is taken already, as the engine's first lines describe it."""

    busy: Mapping[str, Busy]
    seats: Mapping[tuple[str, int], Seats]
    day_counts: Mapping[date, int]

    def day_is_full(self, rules: Rules, start: int) -> bool:
        count = self.day_counts.get(day_of(start, rules.zone), 0)
        return 0 < rules.per_day <= count

    def is_full(self, ask: "Ask", start: int) -> bool:
        """Whether somebody asked has a session at that start without a seat left."""
        sessions = (self.seats.get((host, start)) for host in ask.host_ids)
        return any(session and session.taken >= ask.rules.capacity for session in sessions)


@dataclass(frozen=True)
class Ask:
    """Who is asked for how long; not `strict`: only core times and seats count."""

    rules: Rules
    hosts: tuple[Host, ...]
    length: int
    strict: bool = True

    @cached_property
    def host_ids(self) -> tuple[str, ...]:
        return tuple(host.id for host in self.hosts)

    @property
    def possible(self) -> bool:
        """A length that can be booked at all."""
        return self.length == self.rules.length if self.strict else self.length > 0

    @property
    def buffers(self) -> tuple[int, int] | None:
        return (self.rules.before, self.rules.after) if self.strict else None


class Free(NamedTuple):
    """The points, and bits that say which of them are free, for whom, and by joining a session."""

    points: Sequence[int] = ()
    bits: int = 0
    eligible: Sequence[int] = ()
    joins: Sequence[int] = ()


def free(ask: Ask, taken: Taken, window: Window) -> Free:
    """Which points of the grid within the window [from, to) can be booked."""
    points, grids = grid_of(ask, window) if ask.rules.active else ([], [])
    if not points:
        return Free()
    allowed = ~_full_days(ask.rules, taken, points) if ask.strict else -1
    sessions = _sessions(taken, points)
    fresh, joins = [], []
    for host, grid in zip(ask.host_ids, grids, strict=True):
        free_bits, join_bits = _host(ask, taken, host, points, sessions.get(host, {}))
        fresh.append(free_bits & grid & allowed)
        joins.append(join_bits & grid & allowed)
    if ask.rules.all_of:
        bits = reduce(and_, fresh) | reduce(and_, joins)
        return Free(points, bits, [bits] * len(fresh), joins)
    eligible = [new | joined for new, joined in zip(fresh, joins, strict=True)]
    return Free(points, reduce(or_, eligible), eligible, joins)


def grid_of(ask: Ask, window: Window) -> tuple[Sequence[int], list[int]]:
    """The points of the window, and for each host the bits of those that it is open for."""
    plans = [host.plan for host in ask.hosts]
    if not plans or window[0] >= window[1]:
        return [], []
    if not ask.strict:
        return [window[0]], [1] * len(plans)
    wanted = plans[:1] if ask.rules.all_of else plans
    step = ask.rules.step
    grids = {
        plan: starts(plan, length=ask.length, step=step, window=window) for plan in set(wanted)
    }
    points = grids[plans[0]]
    if len(grids) > 1:
        points = sorted(set().union(*grids.values()))
    if not points:
        return [], []
    open_for = {plan: _open_for(plan, ask, points, grids) for plan in set(plans)}
    return points, [open_for[plan] for plan in plans]


def flags(bits: int, count: int) -> bytes:
    """The bits as so many bytes of 0 and 1, the first point first."""
    return format(bits, f"0{count}b").encode().translate(_FLAGS)[::-1]


def _open_for(
    plan: Plan, ask: Ask, points: Sequence[int], grids: Mapping[Plan, Sequence[int]]
) -> int:
    """Bits of the points on the plan's own grid; for all-of calendars: within its open hours."""
    if len(grids) == 1 and plan in grids:
        return (1 << len(points)) - 1
    if ask.rules.all_of:
        return fits(plan, points, ask.length)
    own = set(grids[plan])
    return int("".join("1" if point in own else "0" for point in reversed(points)), 2)


def _full_days(rules: Rules, taken: Taken, points: Sequence[int]) -> int:
    """Bits of the points on local days that have reached their limit."""
    bits = 0
    if rules.per_day:
        full = (day for day, count in taken.day_counts.items() if count >= rules.per_day)
        for day in full:
            for start, end, _ in day_stretches(rules.zone, day_number(day)):
                bits |= (1 << bisect_left(points, end)) - (1 << bisect_left(points, start))
    return bits


def _sessions(taken: Taken, points: Sequence[int]) -> dict[str, dict[int, Seats]]:
    """The sessions that start at one of the points: by host, then by the point's number."""
    found: dict[str, dict[int, Seats]] = {}
    for (host, start), seats in taken.seats.items():
        index = bisect_left(points, start)
        if index < len(points) and points[index] == start:
            found.setdefault(host, {})[index] = seats
    return found


def _host(
    ask: Ask, taken: Taken, host: str, points: Sequence[int], sessions: Mapping[int, Seats]
) -> tuple[int, int]:
    """Bits of the points at which the host is free, and at which a seat of a session is."""
    own = taken.busy.get(host, _FREE)
    calendar = ask.rules.calendar
    shared = taken.busy.get(calendar, _FREE) if calendar != host else _FREE
    blocked = own.blocked(points, ask.length, ask.buffers)
    blocked |= shared.blocked(points, ask.length, ask.buffers)
    joins = 0
    for index, seats in sessions.items():
        blocked |= 1 << index
        start, end = points[index], points[index] + ask.length
        if (
            _has_seat(ask, seats, end)
            and not own.meets(start, end, besides=(start, seats.end))
            and not shared.meets(start, end)
        ):
            joins |= 1 << index
    return ((1 << len(points)) - 1) & ~blocked, joins


def _has_seat(ask: Ask, seats: Seats, end: int) -> bool:
    """Whether the session has one left, and time enough.

    Who joins takes a seat, not the host's time: only a foreign core time on it is in the way, for
    buffers were minded when the session was opened. A session shorter than the calendar's present
    duration takes nobody any more.
    """
    return seats.taken < ask.rules.capacity and end <= seats.end
