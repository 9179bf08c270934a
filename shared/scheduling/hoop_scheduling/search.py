"""The search for free starts: one bit for each candidate start, and integer operations on the bits.

The grid of candidates is built first; then the free starts of each host are an integer whose bit i
says whether the host can take candidate i. So a team costs one AND or OR for each member, and no
object is created for a slot before the result is known.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce
from operator import and_, or_
from typing import NamedTuple

from hoop_scheduling.busy import Buffers, Busy, Seats
from hoop_scheduling.grid import (
    CandidateList,
    Candidates,
    Grid,
    GridSpec,
    bits_within,
    build_grid,
    shared_spec,
)
from hoop_scheduling.hours import Span
from hoop_scheduling.rules import Host, SlotRules
from hoop_scheduling.zones import day_number, day_of, day_stretches

Window = Span

_FREE = Busy()


class Occupancy(NamedTuple):
    """Busy times, seats and day counts, as the docstring of the package describes them."""

    busy: Mapping[str, Busy]
    seats: Mapping[tuple[str, int], Seats]
    day_counts: Mapping[date, int]

    def day_is_full(self, rules: SlotRules, start: int) -> bool:
        count = self.day_counts.get(day_of(start, rules.zone), 0)
        return 0 < rules.per_day <= count

    def is_full(self, request: "SearchRequest", start: int) -> bool:
        """Whether a requested host has a session at that start without a free seat."""
        sessions = (self.seats.get((host, start)) for host in request.host_ids)
        return any(session and session.taken >= request.rules.capacity for session in sessions)


class SearchRequest(NamedTuple):
    """The hosts and the length of a slot; not `strict`: only core times and seats count.

    `any_length`: the length need not be the calendar's.
    """

    rules: SlotRules
    hosts: tuple[Host, ...]
    length: int
    strict: bool = True
    any_length: bool = False

    @property
    def host_ids(self) -> tuple[str, ...]:
        if self.hosts is self.rules.hosts:
            return self.rules.host_ids
        return tuple(host.id for host in self.hosts)

    @property
    def has_valid_length(self) -> bool:
        if self.strict and not self.any_length:
            return self.length == self.rules.length
        return self.length > 0

    @property
    def buffers(self) -> Buffers | None:
        return (self.rules.before, self.rules.after) if self.strict else None

    @property
    def grid_spec(self) -> GridSpec:
        if self.hosts is self.rules.hosts and self.length == self.rules.length:
            return self.rules.grid_spec
        plans = tuple(host.plan for host in self.hosts)
        return shared_spec(plans, self.rules.all_of, self.length, self.rules.step)


class FreeStarts(NamedTuple):
    """Candidates and bits: the free ones, those free for each host, those that join a session."""

    candidates: Candidates = CandidateList()
    bits: int = 0
    eligible: Sequence[int] = ()
    """For each host."""
    joinable: Sequence[int] = ()
    """For each host; empty if there are no sessions."""


def search(
    request: SearchRequest, occupancy: Occupancy, window: Window, bookable: Window
) -> FreeStarts:
    """The free candidates of the window's grid, as far as they are in `bookable` [from, to)."""
    candidates, grids = grid_of(request, window)
    allowed = _allowed(request, occupancy, candidates, bookable) if request.rules.active else 0
    if not allowed or not grids:
        return FreeStarts(candidates)
    supplied = allowed & resources_free(request, occupancy, candidates)
    free = _new_sessions(request, occupancy, candidates, grids, supplied)
    joinable: Sequence[int] = ()
    if occupancy.seats:
        open_for = [grid & allowed for grid in grids]
        joinable = _joinable(request, occupancy, candidates, open_for, free)
    if request.rules.all_of:
        bits = reduce(and_, free) | (reduce(and_, joinable) if joinable else 0)
        return FreeStarts(candidates, bits, [bits] * len(free), joinable)
    if joinable:
        free = [new | joined for new, joined in zip(free, joinable, strict=True)]
    return FreeStarts(candidates, reduce(or_, free), free, joinable)


def grid_of(request: SearchRequest, window: Window) -> Grid:
    """The grid of the window; if not `strict`, its first instant, open for every host."""
    if request.strict:
        return build_grid(request.grid_spec, window)
    return Grid(CandidateList([window[0]]), [1] * len(request.hosts))


def full_days(rules: SlotRules, occupancy: Occupancy, candidates: Candidates) -> int:
    """Bits of the positions on local days that have reached their limit."""
    bits = 0
    if rules.per_day:
        for day, count in occupancy.day_counts.items():
            if count >= rules.per_day:
                for start, end, _ in day_stretches(rules.zone, day_number(day)):
                    bits |= bits_within(candidates, (start, end))
    return bits


def resources_free(request: SearchRequest, occupancy: Occupancy, candidates: Candidates) -> int:
    """Bits of the candidates at which a room and a unit of each equipment are free.

    -1, which has all bits, if none is needed.
    """
    bits = -1
    if request.rules.rooms:
        bits = reduce(or_, free_rooms(request, occupancy, candidates))
    for resource, units in request.rules.equipment:
        if units < 1:
            return 0
        if resource in occupancy.busy:
            exhausted = occupancy.busy[resource].concurrent(units)
            bits &= ~candidates.blocked(exhausted, request.length, None)
    return bits


def free_rooms(request: SearchRequest, occupancy: Occupancy, candidates: Candidates) -> list[int]:
    """For each room the bits of the candidates at which it is free."""
    length, buffers = request.length, request.buffers
    return [
        candidates.all_bits & ~candidates.blocked(occupancy.busy.get(room, _FREE), length, buffers)
        for room in request.rules.rooms
    ]


def _allowed(
    request: SearchRequest, occupancy: Occupancy, candidates: Candidates, bookable: Window
) -> int:
    """Bits of the candidates within the bookable window, without days that are full."""
    allowed = candidates.all_bits & bits_within(candidates, bookable)
    if allowed and request.strict and request.rules.per_day:
        allowed &= ~full_days(request.rules, occupancy, candidates)
    return allowed


def _new_sessions(
    request: SearchRequest,
    occupancy: Occupancy,
    candidates: Candidates,
    grids: Sequence[int],
    allowed: int,
) -> list[int]:
    """For each host the bits at which a new session could begin, existing sessions disregarded."""
    length, buffers = request.length, request.buffers
    shared = occupancy.busy.get(request.rules.calendar)
    if shared is not None:
        allowed &= ~candidates.blocked(shared, length, buffers)
    free = []
    for host, grid in zip(request.host_ids, grids, strict=True):
        own = occupancy.busy.get(host)
        bits = grid & allowed
        if own is not None and own is not shared:
            bits &= ~candidates.blocked(own, length, buffers)
        free.append(bits)
    return free


def _joinable(
    request: SearchRequest,
    occupancy: Occupancy,
    candidates: Candidates,
    open_for: Sequence[int],
    free: list[int],
) -> list[int]:
    """For each host the bits at which a session has a free seat; clears all sessions in `free`."""
    numbers = {host: number for number, host in enumerate(request.host_ids)}
    joinable = [0] * len(free)
    for (host, start), seats in occupancy.seats.items():
        number = numbers.get(host)
        position = None if number is None else candidates.position_of(start)
        if number is None or position is None:
            continue
        free[number] &= ~(1 << position)
        if open_for[number] >> position & 1 and _has_seat(request, occupancy, host, start, seats):
            joinable[number] |= 1 << position
    return joinable


def _has_seat(
    request: SearchRequest, occupancy: Occupancy, host: str, start: int, seats: Seats
) -> bool:
    """Whether the session has a free seat, and is long enough.

    Joining a session takes a seat and no time of the host: only a core time of something else
    conflicts, for buffers and resources were checked when the session was opened. A session shorter
    than the calendar's present duration cannot be joined.
    """
    end, calendar = start + request.length, request.rules.calendar
    if seats.taken >= request.rules.capacity or end > seats.end:
        return False
    own, shared = occupancy.busy.get(host), occupancy.busy.get(calendar)
    if own is not None and own.overlaps(start, end, ignoring=(start, seats.end)):
        return False
    return host == calendar or shared is None or not shared.overlaps(start, end)
