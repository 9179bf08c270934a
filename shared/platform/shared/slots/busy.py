"""What occupies hosts: busy times with the buffers they were booked with, and seats taken.

Two appointments of one host need a gap of the larger of the earlier one's buffer after and the
later one's buffer before: they conflict when either's padded time meets the other's core time.
Times are epoch milliseconds, intervals half-open.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

Span = tuple[int, int]
Buffers = tuple[int, int]
"""(before, after)."""


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


@dataclass(frozen=True)
class Busy:
    """All that occupies one host or resource: parallel arrays, sorted by start; may overlap.

    `before` and `after` are the buffers of each interval; left empty: none has any.
    External events, blocked times and the like have no buffers.
    """

    starts: Sequence[int] = ()
    ends: Sequence[int] = ()
    before: Sequence[int] = ()
    after: Sequence[int] = ()

    @classmethod
    def of(cls, intervals: Iterable[Span | tuple[int, int, int, int]]) -> "Busy":
        """From (start, end) or (start, end, buffer before, buffer after) in any order."""
        rows = sorted((*row, 0, 0)[:4] for row in intervals)
        return cls(*zip(*rows, strict=True)) if rows else cls()

    def blocked(self, points: Sequence[int], length: int, buffers: Buffers | None) -> int:
        """One bit for each of the sorted points: [point, point + length) conflicts.

        `buffers` are those of the candidate; None: only core times count, nobody's buffers.
        """
        bits = 0
        for layer in self._layers:
            lead, tail = _reach(layer, length, buffers)
            first = bisect_right(layer.ends, points[0] - tail)
            last = bisect_left(layer.starts, points[-1] + lead, first)
            for start, end in zip(layer.starts[first:last], layer.ends[first:last], strict=True):
                low = bisect_right(points, start - lead)
                high = bisect_left(points, end + tail, low)
                bits |= (1 << high) - (1 << low)
        return bits

    def meets(self, start: int, end: int, *, besides: Span | None = None) -> bool:
        """Whether a core time meets [start, end), one that is exactly `besides` not counted."""
        first = bisect_right(self.starts, start - self._longest)
        last = bisect_left(self.starts, end)
        met = [
            span
            for span in zip(self.starts[first:last], self.ends[first:last], strict=True)
            if max(span[0], start) < min(span[1], end)
        ]
        return len(met) > (besides in met)

    def without(self, start: int, end: int) -> "Busy":
        """The same with one interval [start, end) left out, if there is one."""
        rows = list(self._rows)
        for row in reversed(rows):
            if row[:2] == (start, end):
                rows.remove(row)
                break
        return Busy.of(rows)

    @property
    def _rows(self) -> Iterable[tuple[int, int, int, int]]:
        none = (0,) * len(self.starts)
        return zip(self.starts, self.ends, self.before or none, self.after or none, strict=True)

    @cached_property
    def _longest(self) -> int:
        return max((end - start for start, end, *_ in self._rows), default=0)

    @cached_property
    def _layers(self) -> list[Layer]:
        layers: dict[Buffers, Layer] = {}
        for start, end, before, after in self._rows:
            layer = layers.setdefault((before, after), Layer(before, after, [], []))
            if start >= end:
                continue
            if layer.ends and start <= layer.ends[-1]:
                layer.ends[-1] = max(layer.ends[-1], end)
            else:
                layer.starts.append(start)
                layer.ends.append(end)
        return list(layers.values())


def _reach(layer: Layer, length: int, buffers: Buffers | None) -> tuple[int, int]:
    """How long before an interval's start, and after its end, no candidate may start."""
    if buffers is None:
        return length, 0
    return length + max(buffers[1], layer.before), max(buffers[0], layer.after)
