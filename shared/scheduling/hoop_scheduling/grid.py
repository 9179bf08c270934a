"""Where slots may start, one bit for each: in a list of instants, or on a lattice of them.

A lattice costs a division where a list costs a search, and what is busy on it can be kept. Its
spacing is the greatest that all starts of the window share, so that it is as exact as the list;
only grids that share next to nothing are left to the list.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import compress
from math import gcd
from operator import sub
from typing import NamedTuple

from hoop_scheduling.busy import Buffers, Busy, Lattice, SlotRequest
from hoop_scheduling.hours import Plan, Span, fits, starts
from hoop_scheduling.zones import DAY, MINUTE

MOST_CELLS = 1 << 17
"""The longest lattice, in bits: three months of minutes. What needs a longer one is a list."""

_FLAGS = bytes.maketrans(b"01", b"\0\1")


@dataclass(frozen=True, eq=False)
class Listed:
    """Any instants, sorted; every place is one."""

    instants: Sequence[int] = ()

    @cached_property
    def every(self) -> int:
        """The bits of all places that are instants."""
        return (1 << len(self.instants)) - 1

    def before(self, instant: int) -> int:
        """How many places lie before the instant."""
        return bisect_left(self.instants, instant)

    def at(self, instant: int) -> int | None:
        """The place of that very instant, if it is one."""
        place = self.before(instant)
        return place if self.instants[place : place + 1] == [instant] else None

    def blocked(self, busy: Busy, length: int, buffers: Buffers | None) -> int:
        """Where [instant, instant + length) conflicts with something busy."""
        return busy.blocked(self.instants, length, buffers)

    def picked(self, bits: int) -> list[int]:
        """The instants of these bits."""
        return list(compress(self.instants, flags(bits, len(self.instants))))


@dataclass(frozen=True, eq=False)
class Packed:
    """Instants on a lattice; the places between them stay empty."""

    lattice: Lattice
    every: int

    def before(self, instant: int) -> int:
        origin, cell, count = self.lattice
        return min(max(-((origin - instant) // cell), 0), count)

    def at(self, instant: int) -> int | None:
        origin, cell, _ = self.lattice
        place, off = divmod(instant - origin, cell)
        return place if not off and place >= 0 and self.every >> place & 1 else None

    def blocked(self, busy: Busy, length: int, buffers: Buffers | None) -> int:
        return busy.packed(SlotRequest(self.lattice, length, buffers))

    def picked(self, bits: int) -> list[int]:
        origin, cell, count = self.lattice
        return list(compress(range(origin, origin + count * cell, cell), flags(bits, count)))


Points = Listed | Packed
"""Bit i of any number stands for the i-th place."""


@dataclass(frozen=True, eq=False)
class Shape:
    """What decides where slots may start: hosts' plans, whether all are needed, length and step."""

    plans: tuple[Plan, ...]
    all_of: bool
    length: int
    step: int


class Grid(NamedTuple):
    """The points, and for each host those at which it is open, on a grid of its own or the first's."""

    points: Points
    open_for: Sequence[int]


@lru_cache(maxsize=1 << 12)
def shaped(plans: tuple[Plan, ...], all_of: bool, length: int, step: int) -> Shape:
    """One value for equal shapes, so that calendars with the same hours share their grids."""
    return Shape(plans, all_of, length, step)


def lay(shape: Shape, window: Span) -> Grid:
    """The grid of at least the window [from, to); one instant alone needs no lattice."""
    if not shape.plans or window[0] >= window[1]:
        return Grid(Listed(), (0,) * len(shape.plans))
    if window[1] - window[0] > 1:
        grid = _sheet(shape, window[0] // DAY, -(-window[1] // DAY))
        if grid is not None:
            return grid
    return _listed(shape, window)


def between(points: Points, window: Span) -> int:
    """The bits of the places within [from, to)."""
    low, high = points.before(window[0]), points.before(window[1])
    return (1 << high) - (1 << low) if low < high else 0


def flags(bits: int, count: int) -> bytes:
    """The bits as so many bytes of 0 and 1, the first place first."""
    return format(bits, f"0{count}b").encode().translate(_FLAGS)[::-1]


@lru_cache(maxsize=1 << 9)
def _sheet(shape: Shape, first: int, last: int) -> Grid | None:
    """The grid of those days of UTC on a lattice; None if none fits."""
    grid = _listed(shape, (first * DAY, last * DAY))
    instants = grid.points.picked(grid.points.every)
    if not instants:
        return grid
    origin = instants[0]
    cell = gcd(*map(sub, instants[1:], instants)) or MINUTE
    count = (instants[-1] - origin) // cell + 1
    if count > MOST_CELLS:
        return None
    places = [(instant - origin) // cell for instant in instants]
    spread = {bits: _spread(bits, places) for bits in {grid.points.every, *grid.open_for}}
    points = Packed(Lattice(origin, cell, count), spread[grid.points.every])
    return Grid(points, tuple(spread[bits] for bits in grid.open_for))


def _spread(bits: int, places: Sequence[int]) -> int:
    """Each bit moved to its place."""
    text = bytearray(b"0" * (places[-1] + 1))
    for place in compress(places, flags(bits, len(places))):
        text[-1 - place] = ord("1")
    return int(text, 2)


def _listed(shape: Shape, window: Span) -> Grid:
    plans = shape.plans
    wanted = plans[:1] if shape.all_of else plans
    grids = {
        plan: starts(plan, length=shape.length, step=shape.step, window=window)
        for plan in dict.fromkeys(wanted)
    }
    instants = grids[plans[0]]
    if len(grids) > 1:
        instants = sorted(set().union(*grids.values()))
    if not instants:
        return Grid(Listed(), (0,) * len(plans))
    open_for = {plan: _open_for(plan, shape, instants, grids) for plan in set(plans)}
    return Grid(Listed(instants), tuple(open_for[plan] for plan in plans))


def _open_for(
    plan: Plan, shape: Shape, points: Sequence[int], grids: Mapping[Plan, Sequence[int]]
) -> int:
    """Bits of the points on the plan's own grid; for all-of calendars: within its open hours."""
    if len(grids) == 1 and plan in grids:
        return (1 << len(points)) - 1
    if shape.all_of:
        return fits(plan, points, shape.length)
    own = set(grids[plan])
    return int("".join("1" if point in own else "0" for point in reversed(points)), 2)
