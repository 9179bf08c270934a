"""What occupies hosts and resources: busy times with their buffers, and seats taken.

Two appointments of one host need a gap of the larger of the earlier one's buffer after and the
later one's buffer before: they conflict when either's padded time meets the other's core time.
Times are epoch milliseconds, intervals half-open.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

Span = tuple[int, int]
Buffers = tuple[int, int]
"""(before, after)."""

_KEPT = 16
"""Packed forms that one value keeps: one for each lattice, length and pair of buffers asked for."""


class Seats(NamedTuple):
    """A session of the asked calendar: when it ends, and how many seats are taken."""

    end: int
    taken: int


class Layer(NamedTuple):
    """Busy times that share their buffers, apart from each other and sorted."""

    before: int
    after: int
    starts: list[int]
    ends: list[int]


class Lattice(NamedTuple):
    """Evenly spaced instants: `origin`, `origin + cell`, … `size` of them."""

    origin: int
    cell: int
    size: int


class SlotRequest(NamedTuple):
    """Possible starts on a lattice, the length of each, and its buffers; None: nobody's count."""

    lattice: Lattice
    length: int
    buffers: Buffers | None


@dataclass(frozen=True)
class Busy:
    """All that occupies one host or resource: parallel arrays, sorted by start; may overlap.

    `before` and `after` are the buffers of each interval; left empty: none has any.
    External events, blocked times and the like have no buffers. `pieces` are further values that
    this one is the union of: see `joined`.
    """

    starts: Sequence[int] = ()
    ends: Sequence[int] = ()
    before: Sequence[int] = ()
    after: Sequence[int] = ()
    pieces: tuple["Busy", ...] = ()

    @classmethod
    def of(cls, intervals: Iterable[Span | tuple[int, int, int, int]]) -> "Busy":
        """From (start, end) or (start, end, buffer before, buffer after) in any order."""
        rows = sorted((*row, 0, 0)[:4] for row in intervals)
        return cls(*zip(*rows, strict=True)) if rows else cls()

    @classmethod
    def joined(cls, pieces: Sequence["Busy"]) -> "Busy":
        """The union of the pieces, in any order; each keeps what it has packed already.

        An interval is in one piece, whole: a block of a month holds what starts in that month.
        """
        return pieces[0] if len(pieces) == 1 else cls(pieces=tuple(pieces))

    def blocked(self, points: Sequence[int], length: int, buffers: Buffers | None) -> int:
        """One bit for each of the sorted points: [point, point + length) conflicts.

        `buffers` are those of the candidate; None: only core times count, nobody's buffers.
        """
        bits = 0
        for piece in self.pieces:
            bits |= piece.blocked(points, length, buffers)
        for start, end in self._barred(points[0], points[-1], length, buffers):
            low = bisect_right(points, start)
            high = bisect_left(points, end, low)
            bits |= (1 << high) - (1 << low)
        return bits

    def packed(self, wanted: SlotRequest) -> int:
        """The same for the points of a lattice; worked out once and kept."""
        bits = self._kept.get(wanted)
        if bits is None:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            bits = self._kept[wanted] = self._pack(wanted)
        return bits

    def crowded(self, units: int) -> "Busy":
        """When at least so many (≥ 1) of the intervals run at the same time, buffers not counted."""
        found = self._crowds.get(units)
        if found is None:
            found = self._crowds[units] = Busy.of(_crowds(self.rows(), units))
        return found

    def meets(self, start: int, end: int, *, besides: Span | None = None) -> bool:
        """Whether a core time meets [start, end), one that is exactly `besides` not counted."""
        met = self._met(start, end)
        return len(met) > (besides in met)

    def without(self, start: int, end: int) -> "Busy":
        """The same with one interval [start, end) left out; itself if there is none."""
        for index, piece in enumerate(self.pieces):
            if (rest := piece.without(start, end)) is not piece:
                pieces = (*self.pieces[:index], rest, *self.pieces[index + 1 :])
                return Busy(self.starts, self.ends, self.before, self.after, pieces)
        rows = list(self._own)
        for row in rows:
            if row[:2] == (start, end):
                rows.remove(row)
                return Busy.joined((Busy.of(rows), *self.pieces))
        return self

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Every interval as (start, end, before, after), piece by piece."""
        return chain(self._own, *(piece.rows() for piece in self.pieces))

    @property
    def _own(self) -> Iterable[tuple[int, int, int, int]]:
        none = (0,) * len(self.starts)
        return zip(self.starts, self.ends, self.before or none, self.after or none, strict=True)

    def _met(self, start: int, end: int) -> list[Span]:
        first = bisect_right(self.starts, start - self._longest)
        last = bisect_left(self.starts, end, first)
        spans = zip(self.starts[first:last], self.ends[first:last], strict=True)
        met = [span for span in spans if span[1] > start and span[0] < span[1]]
        for piece in self.pieces:
            met += piece._met(start, end)  # noqa: SLF001 -- its own kind
        return met

    def _barred(
        self, first: int, last: int, length: int, buffers: Buffers | None
    ) -> Iterator[Span]:
        """Between which instants (both exclusive) nothing of that length may start; own ones only.

        Those that bar no start of [first, last] may be left out.
        """
        for layer in self._layers:
            lead, tail = _reach(layer, length, buffers)
            begin = bisect_right(layer.ends, first - tail)
            stop = bisect_left(layer.starts, last + lead, begin)
            for start, end in zip(layer.starts[begin:stop], layer.ends[begin:stop], strict=True):
                yield start - lead, end + tail

    def _pack(self, wanted: SlotRequest) -> int:
        """Points strictly between two instants: whatever these are, that rounds nothing away."""
        (origin, cell, size), length, buffers = wanted
        bits = 0
        for piece in self.pieces:
            bits |= piece.packed(wanted)
        for start, end in self._barred(origin, origin + (size - 1) * cell, length, buffers):
            low = max((start - origin) // cell + 1, 0)
            high = min(-((origin - end) // cell), size)
            bits |= (1 << high) - (1 << low)
        return bits

    @cached_property
    def _kept(self) -> dict[SlotRequest, int]:
        return {}

    @cached_property
    def _crowds(self) -> dict[int, "Busy"]:
        return {}

    @cached_property
    def _longest(self) -> int:
        return max((end - start for start, end, *_ in self._own), default=0)

    @cached_property
    def _layers(self) -> list[Layer]:
        if not self.before:
            spans: dict[Buffers, list[Span]] = {
                (0, 0): list(zip(self.starts, self.ends, strict=True))
            }
        else:
            spans = {}
            for start, end, before, after in self._own:
                spans.setdefault((before, after), []).append((start, end))
        return [Layer(*buffers, *_apart(rows)) for buffers, rows in spans.items()]


def _apart(spans: Iterable[Span]) -> tuple[list[int], list[int]]:
    """The union of spans sorted by start, as starts and ends; empty spans are nothing."""
    starts: list[int] = []
    ends: list[int] = []
    last = None
    for start, end in spans:
        if last is not None and start <= last:
            if end > last and start < end:
                ends[-1] = last = end
        elif start < end:
            starts.append(start)
            ends.append(end)
            last = end
    return starts, ends


def _reach(layer: Layer, length: int, buffers: Buffers | None) -> tuple[int, int]:
    """How long before an interval's start, and after its end, no candidate may start."""
    if buffers is None:
        return length, 0
    return length + max(buffers[1], layer.before), max(buffers[0], layer.after)


def _crowds(rows: Iterable[tuple[int, int, int, int]], units: int) -> Iterator[Span]:
    """Sweep over all starts and ends, an end before a start of the same instant."""
    changes = [
        change for start, end, *_ in rows if start < end for change in ((start, 1), (end, -1))
    ]
    running, since = 0, 0
    for instant, change in sorted(changes):
        if change > 0 and running == units - 1:
            since = instant
        elif change < 0 and running == units:
            yield since, instant
        running += change
