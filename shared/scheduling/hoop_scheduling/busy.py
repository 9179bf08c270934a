"""Occupied times of hosts and resources with their buffers, and taken seats of sessions.

Two appointments of one host need a gap of the larger of the earlier one's buffer after and the
later one's buffer before: they conflict when the padded time of either overlaps the core time of the
other. Times are epoch milliseconds, intervals half-open.
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

_MAX_BITMAPS = 16
"""Bitmaps cached by one `Busy` at most, one for each `BitmapKey`."""


class Seats(NamedTuple):
    """A session of the calendar: its end, and how many of its seats are taken."""

    end: int
    taken: int


class BufferGroup(NamedTuple):
    """Busy times that share their buffers: disjoint and sorted."""

    before: int
    after: int
    starts: list[int]
    ends: list[int]


class TimeAxis(NamedTuple):
    """Evenly spaced instants: `origin`, `origin + spacing`, …, `size` of them."""

    origin: int
    spacing: int
    size: int


class BitmapKey(NamedTuple):
    """What a bitmap of a `Busy` depends on: an axis of starts, the length and buffers of each."""

    axis: TimeAxis
    length: int
    buffers: Buffers | None
    """None: buffers do not count, neither those of the candidate nor those of busy times."""


@dataclass(frozen=True)
class Busy:
    """Everything that occupies one host or resource: parallel arrays, sorted by start; may overlap.

    `before` and `after` are the buffers of each interval; empty if none has any, as external events
    and blocked times. `pieces` are further values of which this one is the union: see `joined`.
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
        """The union of the pieces, in any order; each keeps the bitmaps that it has cached.

        An interval must be in one piece as a whole, such as in the month in which it starts.
        """
        return pieces[0] if len(pieces) == 1 else cls(pieces=tuple(pieces))

    def blocked(self, instants: Sequence[int], length: int, buffers: Buffers | None) -> int:
        """One bit for each of the sorted instants: [instant, instant + length) conflicts.

        `buffers` are those of the candidate; None: only core times count, and no buffers.
        """
        bits = 0
        for piece in self.pieces:
            bits |= piece.blocked(instants, length, buffers)
        for start, end in self._blocked_spans(instants[0], instants[-1], length, buffers):
            low = bisect_right(instants, start)
            high = bisect_left(instants, end, low)
            bits |= (1 << high) - (1 << low)
        return bits

    def bitmap(self, key: BitmapKey) -> int:
        """The same as `blocked` for the instants of an axis; computed once and cached."""
        bits = self._bitmaps.get(key)
        if bits is None:
            if len(self._bitmaps) >= _MAX_BITMAPS:
                self._bitmaps.clear()
            bits = self._bitmaps[key] = self._compute_bitmap(key)
        return bits

    def concurrent(self, count: int) -> "Busy":
        """The times at which at least `count` (≥ 1) of the intervals overlap, without buffers."""
        found = self._concurrent.get(count)
        if found is None:
            found = self._concurrent[count] = Busy.of(_concurrent_spans(self.rows(), count))
        return found

    def overlaps(self, start: int, end: int, *, ignoring: Span | None = None) -> bool:
        """Whether a core time overlaps [start, end); one that equals `ignoring` does not count."""
        found = self._overlapping(start, end)
        return len(found) > (ignoring in found)

    def without(self, start: int, end: int) -> "Busy":
        """The same without one interval [start, end); the value itself if there is no such one."""
        for index, piece in enumerate(self.pieces):
            if (rest := piece.without(start, end)) is not piece:
                pieces = (*self.pieces[:index], rest, *self.pieces[index + 1 :])
                return Busy(self.starts, self.ends, self.before, self.after, pieces)
        rows = list(self._own_rows)
        for row in rows:
            if row[:2] == (start, end):
                rows.remove(row)
                return Busy.joined((Busy.of(rows), *self.pieces))
        return self

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Every interval as (start, end, before, after), piece by piece."""
        return chain(self._own_rows, *(piece.rows() for piece in self.pieces))

    @property
    def _own_rows(self) -> Iterable[tuple[int, int, int, int]]:
        """The intervals without those of the pieces."""
        none = (0,) * len(self.starts)
        return zip(self.starts, self.ends, self.before or none, self.after or none, strict=True)

    def _overlapping(self, start: int, end: int) -> list[Span]:
        first = bisect_right(self.starts, start - self._longest)
        last = bisect_left(self.starts, end, first)
        spans = zip(self.starts[first:last], self.ends[first:last], strict=True)
        found = [span for span in spans if span[1] > start and span[0] < span[1]]
        for piece in self.pieces:
            found += piece._overlapping(start, end)  # noqa: SLF001 -- a value of the same class
        return found

    def _blocked_spans(
        self, first: int, last: int, length: int, buffers: Buffers | None
    ) -> Iterator[Span]:
        """Pairs of instants (both exclusive) between which no candidate of that length may start.

        Intervals of the pieces are left out, and spans that contain no start of [first, last] may be.
        """
        for group in self._buffer_groups:
            lead, tail = _margins(group, length, buffers)
            begin = bisect_right(group.ends, first - tail)
            stop = bisect_left(group.starts, last + lead, begin)
            for start, end in zip(group.starts[begin:stop], group.ends[begin:stop], strict=True):
                yield start - lead, end + tail

    def _compute_bitmap(self, key: BitmapKey) -> int:
        """The instants strictly between the ends of blocked spans; rounding to them is exact."""
        (origin, spacing, size), length, buffers = key
        bits = 0
        for piece in self.pieces:
            bits |= piece.bitmap(key)
        last = origin + (size - 1) * spacing
        for start, end in self._blocked_spans(origin, last, length, buffers):
            low = max((start - origin) // spacing + 1, 0)
            high = min(-((origin - end) // spacing), size)
            bits |= (1 << high) - (1 << low)
        return bits

    @cached_property
    def _bitmaps(self) -> dict[BitmapKey, int]:
        return {}

    @cached_property
    def _concurrent(self) -> dict[int, "Busy"]:
        return {}

    @cached_property
    def _longest(self) -> int:
        return max((end - start for start, end, *_ in self._own_rows), default=0)

    @cached_property
    def _buffer_groups(self) -> list[BufferGroup]:
        if not self.before:
            spans: dict[Buffers, list[Span]] = {
                (0, 0): list(zip(self.starts, self.ends, strict=True))
            }
        else:
            spans = {}
            for start, end, before, after in self._own_rows:
                spans.setdefault((before, after), []).append((start, end))
        return [BufferGroup(*buffers, *_merged(rows)) for buffers, rows in spans.items()]


def _merged(spans: Iterable[Span]) -> tuple[list[int], list[int]]:
    """The union of spans sorted by start, as starts and ends; empty spans are dropped."""
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


def _margins(group: BufferGroup, length: int, buffers: Buffers | None) -> tuple[int, int]:
    """Milliseconds before a busy start, and after a busy end, in which no candidate may start."""
    if buffers is None:
        return length, 0
    return length + max(buffers[1], group.before), max(buffers[0], group.after)


def _concurrent_spans(rows: Iterable[tuple[int, int, int, int]], count: int) -> Iterator[Span]:
    """Sweep over all starts and ends, an end before a start of the same instant."""
    changes = [
        change for start, end, *_ in rows if start < end for change in ((start, 1), (end, -1))
    ]
    running, since = 0, 0
    for instant, change in sorted(changes):
        if change > 0 and running == count - 1:
            since = instant
        elif change < 0 and running == count:
            yield since, instant
        running += change
