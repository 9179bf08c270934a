"""The starts to offer: free ones without those that look-busy hides, in three representations."""

from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from itertools import compress
from typing import NamedTuple

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.engine import bookable_range, candidate_hosts
from hoop_scheduling.grid import Candidates, bit_flags
from hoop_scheduling.json_pages import render_page
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.search import FreeStarts, Occupancy, SearchRequest, Window, search
from hoop_scheduling.without_one import ExcludedAppointment, without_excluded


class Slot(NamedTuple):
    """A bookable slot, the hosts who can take it, and the free seats of these hosts."""

    start: int
    end: int
    hosts: tuple[str, ...]
    seats_left: int


def free_starts(
    rules: SlotRules,
    *,
    busy: Mapping[str, Busy],
    window: Window,
    now: int,
    seats: Mapping[tuple[str, int], Seats] | None = None,
    day_counts: Mapping[date, int] | None = None,
    hosts: Collection[str] | None = None,
    leave_out: ExcludedAppointment | None = None,
) -> list[int]:
    """The starts to offer within the window [from, to), sorted.

    `hosts`: only starts with one of these; a collective calendar is not restricted by them, as long
    as one is a member.
    """
    request, occupancy = search_request(
        rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out
    )
    found = search(request, occupancy, window, bookable_range(rules, window, now))
    return found.candidates.instants_of(visible_bits(rules, found))


def list_slots(
    rules: SlotRules,
    *,
    busy: Mapping[str, Busy],
    window: Window,
    now: int,
    zone: str,
    seats: Mapping[tuple[str, int], Seats] | None = None,
    day_counts: Mapping[date, int] | None = None,
    hosts: Collection[str] | None = None,
    leave_out: ExcludedAppointment | None = None,
) -> bytes:
    """The starts of `free_starts` as JSON: `{"2027-03-01":{"slots":["2027-03-01T09:00:00-05:00",…]},…}`.

    Dates and offsets are those of `zone`; dates without a slot are absent.
    """
    request, occupancy = search_request(
        rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out
    )
    found = search(request, occupancy, window, bookable_range(rules, window, now))
    return render_page(found.candidates, visible_bits(rules, found), zone)


def free_slots(
    rules: SlotRules,
    *,
    busy: Mapping[str, Busy],
    window: Window,
    now: int,
    seats: Mapping[tuple[str, int], Seats] | None = None,
    day_counts: Mapping[date, int] | None = None,
    hosts: Collection[str] | None = None,
    leave_out: ExcludedAppointment | None = None,
) -> list[Slot]:
    """The starts of `free_starts`, each with its end, its eligible hosts and the free seats."""
    request, occupancy = search_request(
        rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out
    )
    found = search(request, occupancy, window, bookable_range(rules, window, now))
    bits = visible_bits(rules, found)
    count = bits.bit_length()
    chosen = bit_flags(bits, count)
    able = [compress(bit_flags(free & bits, count), chosen) for free in found.eligible]
    ids = request.host_ids
    return [
        _slot(request, occupancy, start, tuple(compress(ids, can)))
        for start, *can in zip(found.candidates.instants_of(bits), *able, strict=bool(able))
    ]


def search_request(
    rules: SlotRules,
    busy: Mapping[str, Busy],
    seats: Mapping[tuple[str, int], Seats] | None,
    day_counts: Mapping[date, int] | None,
    *,
    hosts: Collection[str] | None,
    leave_out: ExcludedAppointment | None,
) -> tuple[SearchRequest, Occupancy]:
    """The request, and the occupancy without the appointment to leave out."""
    occupancy = without_excluded(rules, Occupancy(busy, seats or {}, day_counts or {}), leave_out)
    return SearchRequest(rules, candidate_hosts(rules, hosts), rules.length), occupancy


def visible_bits(rules: SlotRules, found: FreeStarts) -> int:
    """The bits of the free candidates without those that look-busy hides."""
    if not rules.look_busy or not found.bits:
        return found.bits
    return found.bits & ~_hidden_bits(rules.calendar, rules.look_busy, found.candidates)


@lru_cache(maxsize=1 << 8)
def _hidden_bits(calendar: str, percent: int, candidates: Candidates) -> int:
    """The bits of hidden candidates, by a hash of calendar and start: the same for every request.

    A higher percentage hides all that a lower one does.
    """
    bits = 0
    for start in candidates.instants_of(candidates.all_bits):
        digest = blake2b(f"{calendar} {start}".encode(), digest_size=8).digest()
        if int.from_bytes(digest) % 100 < percent:
            bits |= 1 << candidates.position(start)
    return bits


def _slot(request: SearchRequest, occupancy: Occupancy, start: int, hosts: tuple[str, ...]) -> Slot:
    capacity = request.rules.capacity
    left = [capacity] * len(hosts)
    if occupancy.seats:
        sessions = (occupancy.seats.get((host, start)) for host in hosts)
        left = [capacity - session.taken if session else capacity for session in sessions]
    total = min(left) if request.rules.all_of else sum(left)
    return Slot(start, start + request.length, hosts, total)
