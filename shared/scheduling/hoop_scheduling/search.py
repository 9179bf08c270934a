"""The computation itself: one bit for each point of the grid, and integer algebra on the bits.

The points (possible starts, sorted) are laid first; then each host is an integer whose bit i says
whether the host can take point i. So a team costs an AND or an OR, and nothing is made for a slot
before the answer is known.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce
from operator import and_, or_
from typing import NamedTuple

from hoop_scheduling.busy import Buffers, Busy, Seats
from hoop_scheduling.grid import Grid, Listed, Points, Shape, between, lay, shaped
from hoop_scheduling.hours import Span
from hoop_scheduling.rules import Host, SlotRules
from hoop_scheduling.zones import day_number, day_of, day_stretches

Window = Span

_FREE = Busy()


class Occupancy(NamedTuple):
    """What is taken already, as the first lines of the package describe it."""

    busy: Mapping[str, Busy]
    seats: Mapping[tuple[str, int], Seats]
    day_counts: Mapping[date, int]

    def day_is_full(self, rules: SlotRules, start: int) -> bool:
        count = self.day_counts.get(day_of(start, rules.zone), 0)
        return 0 < rules.per_day <= count

    def is_full(self, ask: "SearchRequest", start: int) -> bool:
        """Whether somebody asked has a session at that start without a seat left."""
        sessions = (self.seats.get((host, start)) for host in ask.host_ids)
        return any(session and session.taken >= ask.rules.capacity for session in sessions)


class SearchRequest(NamedTuple):
    """Who is asked for how long; not `strict`: only core times and seats count."""

    rules: SlotRules
    hosts: tuple[Host, ...]
    length: int
    strict: bool = True

    @property
    def host_ids(self) -> tuple[str, ...]:
        if self.hosts is self.rules.hosts:
            return self.rules.host_ids
        return tuple(host.id for host in self.hosts)

    @property
    def possible(self) -> bool:
        """A length that can be booked at all."""
        return self.length == self.rules.length if self.strict else self.length > 0

    @property
    def buffers(self) -> Buffers | None:
        return (self.rules.before, self.rules.after) if self.strict else None

    @property
    def shape(self) -> Shape:
        if self.hosts is self.rules.hosts:
            return self.rules.shape
        plans = tuple(host.plan for host in self.hosts)
        return shaped(plans, self.rules.all_of, self.rules.length, self.rules.step)


class FreeStarts(NamedTuple):
    """The points, and bits that say which of them are free, for whom, and by joining a session."""

    points: Points = Listed()
    bits: int = 0
    eligible: Sequence[int] = ()
    joins: Sequence[int] = ()


def search(ask: SearchRequest, taken: Occupancy, window: Window, within: Window) -> FreeStarts:
    """Which points of the grid of the window can be booked, as far as they are `within` [from, to)."""
    points, grids = grid_of(ask, window)
    allowed = _allowed(ask, taken, points, within) if ask.rules.active else 0
    if not allowed or not grids:
        return FreeStarts(points)
    fresh = _fresh(ask, taken, points, grids, allowed & supplied(ask, taken, points))
    joins: Sequence[int] = ()
    if taken.seats:
        joins = _join(ask, taken, points, [grid & allowed for grid in grids], fresh)
    if ask.rules.all_of:
        bits = reduce(and_, fresh) | (reduce(and_, joins) if joins else 0)
        return FreeStarts(points, bits, [bits] * len(fresh), joins)
    if joins:
        fresh = [new | joined for new, joined in zip(fresh, joins, strict=True)]
    return FreeStarts(points, reduce(or_, fresh), fresh, joins)


def grid_of(ask: SearchRequest, window: Window) -> Grid:
    """The grid of the window; where the rules do not count, its first instant, open for everybody."""
    if ask.strict:
        return lay(ask.shape, window)
    return Grid(Listed([window[0]]), [1] * len(ask.hosts))


def full_days(rules: SlotRules, taken: Occupancy, points: Points) -> int:
    """Bits of the places on local days that have reached their limit."""
    bits = 0
    if rules.per_day:
        for day, count in taken.day_counts.items():
            if count >= rules.per_day:
                for start, end, _ in day_stretches(rules.zone, day_number(day)):
                    bits |= between(points, (start, end))
    return bits


def supplied(ask: SearchRequest, taken: Occupancy, points: Points) -> int:
    """Bits of the points at which a room is free, and a unit of each equipment; -1: none is needed."""
    bits = -1
    if ask.rules.rooms:
        bits = reduce(or_, free_rooms(ask, taken, points))
    for resource, units in ask.rules.equipment:
        if units < 1:
            return 0
        if resource in taken.busy:
            crowded = taken.busy[resource].crowded(units)
            bits &= ~points.blocked(crowded, ask.length, None)
    return bits


def free_rooms(ask: SearchRequest, taken: Occupancy, points: Points) -> list[int]:
    """For each room the points at which it is free."""
    return [
        points.every & ~points.blocked(taken.busy.get(room, _FREE), ask.length, ask.buffers)
        for room in ask.rules.rooms
    ]


def _allowed(ask: SearchRequest, taken: Occupancy, points: Points, within: Window) -> int:
    """The points within the window, without the days that are full."""
    allowed = points.every & between(points, within)
    if allowed and ask.strict and ask.rules.per_day:
        allowed &= ~full_days(ask.rules, taken, points)
    return allowed


def _fresh(
    ask: SearchRequest, taken: Occupancy, points: Points, grids: Sequence[int], allowed: int
) -> list[int]:
    """For each host the points at which a session of its own could begin, were there none yet."""
    length, buffers = ask.length, ask.buffers
    shared = taken.busy.get(ask.rules.calendar)
    if shared is not None:
        allowed &= ~points.blocked(shared, length, buffers)
    fresh = []
    for host, grid in zip(ask.host_ids, grids, strict=True):
        own = taken.busy.get(host)
        bits = grid & allowed
        if own is not None and own is not shared:
            bits &= ~points.blocked(own, length, buffers)
        fresh.append(bits)
    return fresh


def _join(
    ask: SearchRequest, taken: Occupancy, points: Points, open_for: Sequence[int], fresh: list[int]
) -> list[int]:
    """For each host the points at which a session has a seat; a session begun is no fresh point."""
    numbers = {host: number for number, host in enumerate(ask.host_ids)}
    joins = [0] * len(fresh)
    for (host, start), seats in taken.seats.items():
        number = numbers.get(host)
        place = None if number is None else points.at(start)
        if number is None or place is None:
            continue
        fresh[number] &= ~(1 << place)
        if open_for[number] >> place & 1 and _has_seat(ask, taken, host, start, seats):
            joins[number] |= 1 << place
    return joins


def _has_seat(ask: SearchRequest, taken: Occupancy, host: str, start: int, seats: Seats) -> bool:
    """Whether the session has one left, and time enough.

    Who joins takes a seat, not the host's time: only a foreign core time on it is in the way, for
    buffers and resources were minded when the session was opened. A session shorter than the
    calendar's present duration takes nobody any more.
    """
    end, calendar = start + ask.length, ask.rules.calendar
    if seats.taken >= ask.rules.capacity or end > seats.end:
        return False
    own, shared = taken.busy.get(host), taken.busy.get(calendar)
    if own is not None and own.meets(start, end, besides=(start, seats.end)):
        return False
    return host == calendar or shared is None or not shared.meets(start, end)
