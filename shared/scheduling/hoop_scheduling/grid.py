"""Candidate starts of slots, one bit for each: in a list of instants, or as a bitmap over a time axis.

A position on an axis is found by a division, in a list by a search; and bitmaps of busy times over
an axis are cached. The spacing of the axis is the greatest common divisor of all distances, so that
it is as exact as the list; a list is used only for grids that would need too long an axis.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import compress
from math import gcd
from operator import sub
from typing import NamedTuple

from hoop_scheduling.busy import BitmapKey, Buffers, Busy, TimeAxis
from hoop_scheduling.hours import OpeningPlan, Span, fits, starts
from hoop_scheduling.zones import DAY, MINUTE

MAX_AXIS_SIZE = 1 << 17
"""The longest axis, in bits: three months of minutes."""

_FLAGS = bytes.maketrans(b"01", b"\0\1")


@dataclass(frozen=True, eq=False)
class CandidateList:
    """Candidates as sorted instants; bit i of a number stands for the i-th instant."""

    instants: Sequence[int] = ()

    @cached_property
    def all_bits(self) -> int:
        """The bits of all candidates."""
        return (1 << len(self.instants)) - 1

    def position(self, instant: int) -> int:
        """The first position that is not before the instant."""
        return bisect_left(self.instants, instant)

    def position_of(self, instant: int) -> int | None:
        """The position of this instant; None if it is no candidate."""
        position = self.position(instant)
        return position if self.instants[position : position + 1] == [instant] else None

    def blocked(self, busy: Busy, length: int, buffers: Buffers | None) -> int:
        """The bits of positions where [instant, instant + length) conflicts with a busy time."""
        return busy.blocked(self.instants, length, buffers)

    def instants_of(self, bits: int) -> list[int]:
        """The instants of these bits."""
        return list(compress(self.instants, bit_flags(bits, len(self.instants))))


@dataclass(frozen=True, eq=False)
class CandidateBitmap:
    """Candidates as a bitmap over a time axis; bit i stands for the axis's i-th instant."""

    axis: TimeAxis
    all_bits: int

    def position(self, instant: int) -> int:
        origin, spacing, size = self.axis
        return min(max(-((origin - instant) // spacing), 0), size)

    def position_of(self, instant: int) -> int | None:
        origin, spacing, _ = self.axis
        position, off = divmod(instant - origin, spacing)
        is_candidate = not off and position >= 0 and self.all_bits >> position & 1
        return position if is_candidate else None

    def blocked(self, busy: Busy, length: int, buffers: Buffers | None) -> int:
        return busy.bitmap(BitmapKey(self.axis, length, buffers))

    def instants_of(self, bits: int) -> list[int]:
        origin, spacing, size = self.axis
        instants = range(origin, origin + size * spacing, spacing)
        return list(compress(instants, bit_flags(bits, size)))


Candidates = CandidateList | CandidateBitmap


@dataclass(frozen=True, eq=False)
class GridSpec:
    """What a grid depends on: the hosts' plans, whether all hosts are needed, length and step."""

    plans: tuple[OpeningPlan, ...]
    all_of: bool
    length: int
    step: int


class Grid(NamedTuple):
    """Candidates, and for each host the bits of those at which the host is open.

    Each host has a grid of its own; if all hosts are needed, all have the first host's.
    """

    candidates: Candidates
    open_for: Sequence[int]


@lru_cache(maxsize=1 << 12)
def shared_spec(plans: tuple[OpeningPlan, ...], all_of: bool, length: int, step: int) -> GridSpec:
    """One object for equal arguments, so that calendars with the same hours share cached grids."""
    return GridSpec(plans, all_of, length, step)


def build_grid(spec: GridSpec, window: Span) -> Grid:
    """The grid of at least the window [from, to); a list for a window of one millisecond."""
    if not spec.plans or window[0] >= window[1]:
        return Grid(CandidateList(), (0,) * len(spec.plans))
    if window[1] - window[0] > 1:
        grid = _bitmap_grid(spec, window[0] // DAY, -(-window[1] // DAY))
        if grid is not None:
            return grid
    return _list_grid(spec, window)


def bits_within(candidates: Candidates, window: Span) -> int:
    """The bits of the positions within [from, to)."""
    low, high = candidates.position(window[0]), candidates.position(window[1])
    return (1 << high) - (1 << low) if low < high else 0


def bit_flags(bits: int, count: int) -> bytes:
    """The lowest `count` bits as bytes of 0 and 1, the lowest bit first."""
    return format(bits, f"0{count}b").encode().translate(_FLAGS)[::-1]


@lru_cache(maxsize=1 << 9)
def _bitmap_grid(spec: GridSpec, first: int, last: int) -> Grid | None:
    """The grid of the UTC days [first, last) over an axis; None if the axis would be too long."""
    grid = _list_grid(spec, (first * DAY, last * DAY))
    instants = grid.candidates.instants_of(grid.candidates.all_bits)
    if not instants:
        return grid
    origin = instants[0]
    spacing = gcd(*map(sub, instants[1:], instants)) or MINUTE
    size = (instants[-1] - origin) // spacing + 1
    if size > MAX_AXIS_SIZE:
        return None
    positions = [(instant - origin) // spacing for instant in instants]
    moved = {bits: _moved(bits, positions) for bits in {grid.candidates.all_bits, *grid.open_for}}
    axis = TimeAxis(origin, spacing, size)
    candidates = CandidateBitmap(axis, moved[grid.candidates.all_bits])
    return Grid(candidates, tuple(moved[bits] for bits in grid.open_for))


def _moved(bits: int, positions: Sequence[int]) -> int:
    """The bits, each moved from i to the i-th position."""
    text = bytearray(b"0" * (positions[-1] + 1))
    for position in compress(positions, bit_flags(bits, len(positions))):
        text[-1 - position] = ord("1")
    return int(text, 2)


def _list_grid(spec: GridSpec, window: Span) -> Grid:
    plans = spec.plans
    needed = plans[:1] if spec.all_of else plans
    grids = {
        plan: starts(plan, length=spec.length, step=spec.step, window=window)
        for plan in dict.fromkeys(needed)
    }
    instants = grids[plans[0]]
    if len(grids) > 1:
        instants = sorted(set().union(*grids.values()))
    if not instants:
        return Grid(CandidateList(), (0,) * len(plans))
    open_for = {plan: _open_bits(plan, spec, instants, grids) for plan in set(plans)}
    return Grid(CandidateList(instants), tuple(open_for[plan] for plan in plans))


def _open_bits(
    plan: OpeningPlan,
    spec: GridSpec,
    instants: Sequence[int],
    grids: Mapping[OpeningPlan, Sequence[int]],
) -> int:
    """The bits of instants on the plan's own grid; if all hosts are needed, within its open hours."""
    if len(grids) == 1 and plan in grids:
        return (1 << len(instants)) - 1
    if spec.all_of:
        return fits(plan, instants, spec.length)
    own = set(grids[plan])
    return int("".join("1" if instant in own else "0" for instant in reversed(instants)), 2)
