"""Opening hours: wall-clock rules of a zone, turned into instants and into the grid of starts.

docs/decisions/0003-slots-in-time-zones.md defines what happens when the clocks change: an opening
is the set of instants with its local date and one of its wall-clock minutes. So a gap shortens an
opening, an overlap counts twice, and each unbroken run of such instants is an opening of its own,
with a grid in elapsed time from its start.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, pairwise

from hoop_scheduling.zones import DAY, MINUTE, day_stretches, local_day, weekday, zone_named

Minutes = tuple[tuple[int, int], ...]
"""Openings of one day as wall-clock minutes [from, to), sorted, disjoint, at most 1440."""

Span = tuple[int, int]
"""Instants [from, to) in epoch milliseconds."""

_WHOLE_DAY: Minutes = ((0, DAY // MINUTE),)
_BLOCK = 32 * DAY


@dataclass(frozen=True)
class OpeningHours:
    """Openings of each weekday (0 = Sunday) in one zone; those of a date replace its weekday's."""

    zone: str
    week: tuple[Minutes, ...] = ((),) * 7
    dates: tuple[tuple[int, Minutes], ...] = ()
    """`(day number, openings)`; no openings: closed on that date."""

    def __post_init__(self) -> None:
        zone_named(self.zone)

    @cached_property
    def _dated(self) -> dict[int, Minutes]:
        return dict(self.dates)

    def runs(self, day: int) -> list[Span]:
        """The openings of that local day as instants."""
        return _runs(self.zone, day, self._dated.get(day, self.week[weekday(day)]))

    def dated_days(self, first: int, last: int) -> list[int]:
        """The days of [first, last] that `dates` names."""
        return [day for day in self._dated if first <= day <= last]


@dataclass(frozen=True)
class OpeningPlan:
    """When one host is open: the union of `hours`, except on the dates that `dated` names.

    Each element of `hours` keeps its own zone and its own grid.
    """

    hours: tuple[OpeningHours, ...] = ()
    dated: OpeningHours | None = None

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """The hash, computed once: plans are the keys of cached grids."""
        return hash((self.hours, self.dated))

    def openings(self, start: int, end: int) -> list[Span]:
        """At least the openings that overlap [start, end), sorted by start."""
        found = [
            run
            for hours in self.hours
            for day in _days(start, end, hours.zone)
            for run in hours.runs(day)
        ]
        if self.dated is not None:
            days = _days(start - DAY, end + DAY, self.dated.zone)
            own = self.dated.dated_days(days.start, days.stop - 1)
            for day in own:
                found = _without(found, _runs(self.dated.zone, day, _WHOLE_DAY))
            found += [run for day in own for run in self.dated.runs(day)]
        return sorted(found)

    def covered(self, start: int, end: int) -> list[Span]:
        """The union of the openings around [start, end); adjoining openings are merged."""
        return _union(self.openings(start, end))


def starts(plan: OpeningPlan, *, length: int, step: int, window: Span) -> list[int]:
    """The starts on the grid within the window at which `length` fits into the open time, sorted."""
    found: list[int] = []
    for block in range(window[0] // _BLOCK, (window[1] - 1) // _BLOCK + 1):
        grids, overlapping = _grids(plan, length, step, block)
        instants = chain.from_iterable(_clipped(grids, *window))
        found += sorted(set(instants)) if overlapping else instants
    return found


def fits(plan: OpeningPlan, instants: Sequence[int], length: int) -> int:
    """One bit for each of the sorted instants: all of [instant, instant + length) is open."""
    bits = 0
    for opens, closes in plan.covered(instants[0], instants[-1] + length):
        first = bisect_left(instants, opens)
        last = bisect_right(instants, closes - length)
        if first < last:
            bits |= (1 << last) - (1 << first)
    return bits


@lru_cache(maxsize=1 << 12)
def _grids(plan: OpeningPlan, length: int, step: int, block: int) -> tuple[list[range], bool]:
    """The starts within one block of 32 days, a range for each opening; and whether ranges overlap.

    A range ends where `length` no longer fits into the open time, which may go on after the opening:
    an opening until midnight and one from midnight on are open all night.
    """
    first, last = block * _BLOCK, (block + 1) * _BLOCK
    openings = plan.openings(first, last + length)
    covered = _union(openings)
    grids = []
    for opens, closes in openings:
        open_until = covered[bisect_right(covered, opens, key=_start) - 1][1]
        begin = opens if opens >= first else first + (opens - first) % step
        if grid := range(begin, min(closes, open_until - length + 1, last), step):
            grids.append(grid)
    return grids, any(before[-1] >= after[0] for before, after in pairwise(grids))


def _clipped(grids: Iterable[range], start: int, end: int) -> Iterator[range]:
    for grid in grids:
        if start <= grid[0] and grid[-1] < end:
            yield grid
        elif grid[0] < end and start <= grid[-1]:
            yield grid[bisect_left(grid, start) : bisect_left(grid, end)]


def _start(span: Span) -> int:
    return span[0]


def _days(start: int, end: int, zone: str) -> range:
    """The local days that may have an opening which overlaps [start, end), and one more each side."""
    return range(local_day(start, zone) - 1, local_day(end, zone) + 2)


def _runs(zone: str, day: int, minutes: Minutes) -> list[Span]:
    """The unbroken runs of instants with that local date and one of those minutes."""
    found: list[Span] = []
    for begin, end, offset in day_stretches(zone, day):
        midnight = day * DAY - offset
        for opens, closes in minutes:
            start = max(begin, midnight + opens * MINUTE)
            stop = min(end, midnight + closes * MINUTE)
            if start < stop:
                _append(found, (start, stop))
    return found


def _append(spans: list[Span], span: Span) -> None:
    """Add the span, merged with the last one if they touch or overlap."""
    if spans and span[0] <= spans[-1][1]:
        spans[-1] = (spans[-1][0], max(spans[-1][1], span[1]))
    else:
        spans.append(span)


def _union(spans: Iterable[Span]) -> list[Span]:
    """The union of spans that are sorted by start."""
    merged: list[Span] = []
    for span in spans:
        _append(merged, span)
    return merged


def _without(spans: list[Span], cut: list[Span]) -> list[Span]:
    """The spans without their parts in `cut`."""
    for begin, end in cut:
        spans = [
            piece
            for start, stop in spans
            for piece in ((start, min(stop, begin)), (max(start, end), stop))
            if piece[0] < piece[1]
        ]
    return spans
