"""The JSON response, joined from cached fragments: one for each local date and each set of its slots.

The slots of a date are the bits of a number, so a repeated response takes one look-up for each date.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import compress, count
from typing import NamedTuple

import orjson

from hoop_scheduling.formatting import format_start, format_starts
from hoop_scheduling.grid import CandidateBitmap, Candidates, bit_flags, bits_within
from hoop_scheduling.zones import day_name, day_stretches, local_day

MAX_BYTES = 24 << 20
"""Size of all cached fragments together."""

_OVERHEAD = 150
"""Bytes, approximately, that a cached fragment takes besides its text."""


class PageFragments(dict[int, bytes]):
    """`"2027-03-01":{"slots":[…]}` for each set of slots of one date, built on first use.

    Bit i stands for the instant `first + i * spacing`.
    """

    def __init__(self, day: int, zone: str, first: int, spacing: int) -> None:
        super().__init__({0: b""})
        self._date, self._zone = day_name(day), zone
        self._first, self._spacing = first, spacing

    def __missing__(self, bits: int) -> bytes:
        instants = count(self._first, self._spacing)
        starts = compress(instants, bit_flags(bits, bits.bit_length()))
        slots = '","'.join([format_start(start, self._zone) for start in starts])
        fragment = f'"{self._date}":{{"slots":["{slots}"]}}'.encode()
        _cache.reserve(len(fragment) + _OVERHEAD)
        self[bits] = fragment
        _cache.filled.append(self)
        return fragment


class PageCache:
    """Which `PageFragments` hold each cached fragment, and their size; cleared when full."""

    def __init__(self) -> None:
        self.filled: list[PageFragments] = []
        self.used = 0

    def reserve(self, size: int) -> None:
        """Count `size` more bytes, after clearing everything if they do not fit."""
        if self.used + size > MAX_BYTES:
            for fragments in self.filled:
                fragments.clear()
                fragments[0] = b""
            self.filled.clear()
            self.used = 0
        self.used += size


_cache = PageCache()


class DatePage(NamedTuple):
    """A local date: the position of its first candidate, its candidates from there on, its fragments."""

    first: int
    mask: int
    fragments: PageFragments


def render_page(candidates: Candidates, bits: int, zone: str) -> bytes:
    """The candidates of these bits as the JSON object of free slots, by the dates of that zone."""
    if not isinstance(candidates, CandidateBitmap):
        days = format_starts(candidates.instants_of(bits), zone)
        return orjson.dumps({day: {"slots": texts} for day, texts in days.items()})
    parts = [fragments[bits >> first & mask] for first, mask, fragments in _pages(candidates, zone)]
    return b"{" + b",".join(filter(None, parts)) + b"}"


@lru_cache(maxsize=1 << 9)
def _pages(candidates: CandidateBitmap, zone: str) -> Sequence[DatePage]:
    """The local dates that have candidates, in order."""
    origin, spacing, size = candidates.axis
    last = origin + (size - 1) * spacing
    pages = []
    for day in range(local_day(origin, zone), local_day(last, zone) + 1):
        bits = 0
        for start, end, _ in day_stretches(zone, day):
            bits |= candidates.all_bits & bits_within(candidates, (start, end))
        if bits:
            first = (bits & -bits).bit_length() - 1
            fragments = _fragments(day, zone, origin + first * spacing, spacing)
            pages.append(DatePage(first, bits >> first, fragments))
    return tuple(pages)


_fragments = lru_cache(maxsize=1 << 12)(PageFragments)
"""Shared by all calendars with the same first candidate of a date and the same spacing."""
