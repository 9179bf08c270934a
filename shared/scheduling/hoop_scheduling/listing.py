"""Which starts can be offered: the free ones, as instants, as slots with names, or as JSON."""

from collections.abc import Collection, Mapping
from datetime import date
from functools import lru_cache
from hashlib import blake2b
from itertools import compress
from typing import NamedTuple

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.engine import bookable_range, candidates
from hoop_scheduling.grid import Points, flags
from hoop_scheduling.json_pages import render_page
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.search import FreeStarts, Occupancy, SearchRequest, Window, search
from hoop_scheduling.without_one import ExcludedAppointment, without_excluded


class Slot(NamedTuple):
    """A bookable start: until when, the hosts who can take it, and the seats they have left."""

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
    """The starts to offer within the window [from, to), sorted; nothing else is said of them.

    `hosts`: only with one of these (of a collective calendar: all the same, if they are members).
    """
    ask, taken = search_request(rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out)
    found = search(ask, taken, window, bookable_range(rules, window, now))
    return found.points.picked(visible_starts(rules, found))


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
    """The same starts as a JSON object: `{"2027-03-01":{"slots":["2027-03-01T09:00:00-05:00",…]},…}`.

    Dates and offsets are those of `zone`; days without a slot are absent.
    """
    ask, taken = search_request(rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out)
    found = search(ask, taken, window, bookable_range(rules, window, now))
    return render_page(found.points, visible_starts(rules, found), zone)


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
    """The same starts, each with its end, its eligible hosts and the seats left."""
    ask, taken = search_request(rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out)
    found = search(ask, taken, window, bookable_range(rules, window, now))
    bits = visible_starts(rules, found)
    count = bits.bit_length()
    chosen = flags(bits, count)
    able = [compress(flags(one & bits, count), chosen) for one in found.eligible]
    ids = ask.host_ids
    return [
        _slot(ask, taken, start, tuple(compress(ids, can)))
        for start, *can in zip(found.points.picked(bits), *able, strict=bool(able))
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
    """What is looked for, and what is taken once what is to be left out has left."""
    taken = without_excluded(rules, Occupancy(busy, seats or {}, day_counts or {}), leave_out)
    return SearchRequest(rules, candidates(rules, hosts), rules.length), taken


def visible_starts(rules: SlotRules, found: FreeStarts) -> int:
    """The free points without those that look-busy hides."""
    if not rules.look_busy or not found.bits:
        return found.bits
    return found.bits & ~_hidden(rules.calendar, rules.look_busy, found.points)


@lru_cache(maxsize=1 << 8)
def _hidden(calendar: str, percent: int, points: Points) -> int:
    """A lot drawn for each start, by calendar and start alone: whoever asks sees the same.

    Raising the percentage hides more, and shows nothing that was hidden.
    """
    bits = 0
    for start in points.picked(points.every):
        lot = blake2b(f"{calendar} {start}".encode(), digest_size=8).digest()
        if int.from_bytes(lot) % 100 < percent:
            bits |= 1 << points.before(start)
    return bits


def _slot(ask: SearchRequest, taken: Occupancy, start: int, hosts: tuple[str, ...]) -> Slot:
    capacity = ask.rules.capacity
    left_over = [capacity] * len(hosts)
    if taken.seats:
        sessions = (taken.seats.get((host, start)) for host in hosts)
        left_over = [capacity - session.taken if session else capacity for session in sessions]
    total = min(left_over) if ask.rules.all_of else sum(left_over)
    return Slot(start, start + ask.length, hosts, total)
