"""The JSON answer, glued from ready pieces: one for each local date and each set of its slots.

A date's slots are a number, so an answer that was given before is a look-up for each day.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import compress, count
from typing import NamedTuple

import orjson

from hoop_scheduling.formatting import format_start, format_starts
from hoop_scheduling.grid import Packed, Points, between, flags
from hoop_scheduling.zones import day_name, day_stretches, local_day

MOST_BYTES = 24 << 20
"""Pieces kept in memory, of all zones and dates together."""

_OVERHEAD = 150
"""Bytes, about, that keeping a piece takes besides its text."""


class PageFragments(dict[int, bytes]):
    """`"2027-03-01":{"slots":[…]}` for each set of slots of one date, made when first asked for.

    Bit i stands for the instant `first + i * cell`.
    """

    def __init__(self, day: int, zone: str, first: int, cell: int) -> None:
        super().__init__({0: b""})
        self._date, self._zone = day_name(day), zone
        self._first, self._cell = first, cell

    def __missing__(self, bits: int) -> bytes:
        instants = count(self._first, self._cell)
        starts = compress(instants, flags(bits, bits.bit_length()))
        slots = '","'.join([format_start(start, self._zone) for start in starts])
        piece = f'"{self._date}":{{"slots":["{slots}"]}}'.encode()
        _shelf.room_for(len(piece) + _OVERHEAD)
        self[bits] = piece
        _shelf.filled.append(self)
        return piece


class PageCache:
    """Where each kept piece is, and how much they take; cleared when it is full."""

    def __init__(self) -> None:
        self.filled: list[PageFragments] = []
        self.used = 0

    def room_for(self, size: int) -> None:
        if self.used + size > MOST_BYTES:
            for pieces in self.filled:
                pieces.clear()
                pieces[0] = b""
            self.filled.clear()
            self.used = 0
        self.used += size


_shelf = PageCache()


class Page(NamedTuple):
    """A local date: its first place, which of those from there on may be slots, its pieces."""

    first: int
    mask: int
    pieces: PageFragments


def render_page(points: Points, bits: int, zone: str) -> bytes:
    """The points of these bits as the JSON object of free slots, by the dates of that zone."""
    if not isinstance(points, Packed):
        days = format_starts(points.picked(bits), zone)
        return orjson.dumps({day: {"slots": texts} for day, texts in days.items()})
    pieces = [pieces[bits >> first & mask] for first, mask, pieces in _pages(points, zone)]
    return b"{" + b",".join(filter(None, pieces)) + b"}"


@lru_cache(maxsize=1 << 9)
def _pages(points: Packed, zone: str) -> Sequence[Page]:
    """The local dates that have points, in order."""
    origin, cell, size = points.lattice
    last = origin + (size - 1) * cell
    pages = []
    for day in range(local_day(origin, zone), local_day(last, zone) + 1):
        bits = 0
        for start, end, _ in day_stretches(zone, day):
            bits |= points.every & between(points, (start, end))
        if bits:
            first = (bits & -bits).bit_length() - 1
            pieces = _pieces(day, zone, origin + first * cell, cell)
            pages.append(Page(first, bits >> first, pieces))
    return tuple(pages)


_pieces = lru_cache(maxsize=1 << 12)(PageFragments)
"""Shared by all calendars whose slots of that date begin alike."""
