"""Why a day is empty: the rules one after the other, and the first that leaves nothing of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from functools import reduce
from itertools import pairwise
from operator import and_, or_

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.engine import bookable_range, without_resources
from hoop_scheduling.grid import Points, between
from hoop_scheduling.listing import search_request, visible_starts
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.search import Occupancy, SearchRequest, Window, full_days, grid_of, search
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import day_name, day_stretches, local_day

Stage = tuple[str, int]
"""A rule, and the bits of the points that it and all before it leave."""

EVERY_DAY = -1


def explain(
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
) -> dict[str, str]:
    """For each local date of `zone` in the window without a slot: the rule that emptied it.

    In this order: `inactive`, `not_a_member`, `closed`, `notice`, `horizon`, `day_full`, `busy` (or
    `full`, if a session without a seat left was among what was in the way), `no_resource`,
    `look_busy`. Each is asked about what those before it have left.
    """
    ask, taken = search_request(rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out)
    points = grid_of(ask, window).points
    stages = [("", EVERY_DAY), *_stages(ask, taken, window, now)]
    found = {}
    for day in range(local_day(window[0], zone), local_day(window[1] - 1, zone) + 1):
        if stretches := day_stretches(zone, day):
            bits = reduce(or_, (between(points, span[:2]) for span in stretches))
            if reason := _emptied(ask, taken, points, stages, bits):
                found[day_name(day)] = reason
    return found


def _emptied(
    ask: SearchRequest, taken: Occupancy, points: Points, stages: Collection[Stage], day: int
) -> str | None:
    """The first stage that leaves no point of the day; None if there is one to the end."""
    for (_, before), (reason, after) in pairwise(stages):
        if not (after == EVERY_DAY or after & day):
            if reason == "busy":
                full = (taken.is_full(ask, start) for start in points.picked(before & day))
                return "full" if any(full) else reason
            return reason
    return None


def _stages(ask: SearchRequest, taken: Occupancy, window: Window, now: int) -> Iterator[Stage]:
    """The rules in their order; the first two say yes or no to every day, whatever its points."""
    rules, (start, end) = ask.rules, window
    points, grids = grid_of(ask, window)
    yield "inactive", EVERY_DAY if rules.active else 0
    yield "not_a_member", EVERY_DAY if ask.hosts else 0
    bits = between(points, window) & _together(rules, grids)
    yield "closed", bits
    bits &= between(points, (max(start, rules.earliest(now)), end))
    yield "notice", bits
    within = bookable_range(rules, window, now)
    bits &= between(points, within)
    yield "horizon", bits
    yield "day_full", bits & ~full_days(rules, taken, points)
    yield "busy", search(without_resources(ask), taken, window, within).bits
    found = search(ask, taken, window, within)
    yield "no_resource", found.bits
    yield "look_busy", visible_starts(rules, found)


def _together(rules: SlotRules, bits: Sequence[int]) -> int:
    return reduce(and_ if rules.all_of else or_, bits) if bits else 0
