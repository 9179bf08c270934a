"""Why a date has no slot: the first rule, of all in their order, that leaves none of its starts."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from functools import reduce
from itertools import pairwise
from operator import and_, or_

from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.engine import bookable_range, without_resources
from hoop_scheduling.grid import Candidates, bits_within
from hoop_scheduling.listing import search_request, visible_bits
from hoop_scheduling.rules import SlotRules
from hoop_scheduling.search import Occupancy, SearchRequest, Window, full_days, grid_of, search
from hoop_scheduling.without_one import ExcludedAppointment
from hoop_scheduling.zones import day_name, day_stretches, local_day

Stage = tuple[str, int]
"""A rule, and the bits of the candidates that this rule and those before leave."""

EVERY_DAY = -1
"""The bits of all candidates of any day, even of one without candidates."""


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

    The rules apply in this order: `inactive`, `no_host`, `not_a_member`, `closed`, `notice`,
    `horizon`, `day_full`, `busy` (or `full`, if a session without a free seat was one of the conflicts),
    `no_resource`, `look_busy`.
    """
    request, occupancy = search_request(
        rules, busy, seats, day_counts, hosts=hosts, leave_out=leave_out
    )
    candidates = grid_of(request, window).candidates
    stages = [("", EVERY_DAY), *_stages(request, occupancy, window, now)]
    found = {}
    for day in range(local_day(window[0], zone), local_day(window[1] - 1, zone) + 1):
        if stretches := day_stretches(zone, day):
            bits = reduce(or_, (bits_within(candidates, span[:2]) for span in stretches))
            if reason := _empty_reason(request, occupancy, candidates, stages, bits):
                found[day_name(day)] = reason
    return found


def _empty_reason(
    request: SearchRequest,
    occupancy: Occupancy,
    candidates: Candidates,
    stages: Collection[Stage],
    day: int,
) -> str | None:
    """The first rule that leaves no candidate of the day's bits; None if one is left by all."""
    for (_, before), (reason, after) in pairwise(stages):
        if not (after == EVERY_DAY or after & day):
            if reason == "busy":
                starts = candidates.instants_of(before & day)
                full = (occupancy.is_full(request, start) for start in starts)
                return "full" if any(full) else reason
            return reason
    return None


def _stages(
    request: SearchRequest, occupancy: Occupancy, window: Window, now: int
) -> Iterator[Stage]:
    """The rules in their order; the first three allow or refuse every day, with or without candidates."""
    rules, (start, end) = request.rules, window
    candidates, grids = grid_of(request, window)
    yield "inactive", EVERY_DAY if rules.active else 0
    yield "no_host", EVERY_DAY if rules.hosts else 0
    yield "not_a_member", EVERY_DAY if request.hosts else 0
    bits = bits_within(candidates, window) & _combined(rules, grids)
    yield "closed", bits
    bits &= bits_within(candidates, (max(start, rules.earliest(now)), end))
    yield "notice", bits
    bookable = bookable_range(rules, window, now)
    bits &= bits_within(candidates, bookable)
    yield "horizon", bits
    yield "day_full", bits & ~full_days(rules, occupancy, candidates)
    yield "busy", search(without_resources(request), occupancy, window, bookable).bits
    found = search(request, occupancy, window, bookable)
    yield "no_resource", found.bits
    yield "look_busy", visible_bits(rules, found)


def _combined(rules: SlotRules, bits: Sequence[int]) -> int:
    """Bits that all hosts have, if all are needed; else those that any host has."""
    return reduce(and_ if rules.all_of else or_, bits) if bits else 0
