"""What a question about one calendar needs, put together from the blocks of its resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from availability.domain import Offer, date_of
from availability.store.window import Block
from hoop_platform import consistency_token
from hoop_platform.ids import hexed
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.rules import SlotRules


@dataclass(slots=True)
class Entry:
    """What is known of one resource; not `live`: it is out of memory, and may have changed since."""

    account_id: str
    version: int
    blocks: dict[int, Block] = field(default_factory=dict)
    live: bool = False
    weight: int = 0


@dataclass(slots=True)
class View:
    """All that a question about one calendar and some blocks needs, put together for a while.

    The seats are there where sessions may have several; `all_seats` makes them for the others.
    """

    offer: Offer
    rules: SlotRules
    busy: Mapping[str, Busy]
    seats: Mapping[tuple[str, int], Seats] | None
    day_counts: Mapping[date, int] | None
    versions: Mapping[str, int]
    token: str
    """What the answer is made of, as the read token that it carries."""
    since: float
    until: float
    entries: Sequence[Entry]
    blocks: range

    def holds(self, now: int) -> bool:
        """Whether nothing of it was forgotten, and no hold has run out."""
        if not self.since <= now < self.until:
            return False
        return all([entry.live for entry in self.entries])  # noqa: C419 -- a generator takes twice as long

    def all_seats(self, now: int) -> Mapping[tuple[str, int], Seats]:
        return _seats(self.offer, self.entries, self.blocks, now)


def put_together(
    offer: Offer, entries: Sequence[Entry], here: Mapping[str, Entry], blocks: range, now: int
) -> View:
    """The view that these entries make."""
    parts = [entry.blocks[number] for entry in entries for number in blocks]
    times = {r: [here[r].blocks[number].busy(now) for number in blocks] for r in offer.resources}
    busy = {
        resource: Busy.joined([piece for piece in pieces if piece.starts])
        for resource, pieces in times.items()
        if any(piece.starts for piece in pieces)
    }
    versions = {r: entry.version for r, entry in here.items() if entry.version}
    rules = offer.rules
    return View(
        offer=offer,
        rules=rules,
        busy=busy,
        seats=_seats(offer, entries, blocks, now) if rules.capacity > 1 else None,
        day_counts=_day_counts(here[offer.id], blocks, now) if rules.per_day else None,
        versions=versions,
        token=consistency_token.encode(versions),
        since=max((part.since for part in parts), default=0),
        until=min((part.until for part in parts), default=0),
        entries=entries,
        blocks=blocks,
    )


def _seats(
    offer: Offer, entries: Sequence[Entry], blocks: range, now: int
) -> dict[tuple[str, int], Seats]:
    calendar = hexed(offer.id)
    return {
        (resource, start): seats
        for resource, entry in zip(offer.resources, entries, strict=True)
        for number in blocks
        for start, seats in entry.blocks[number].sessions(calendar, now)
    }


def _day_counts(entry: Entry, blocks: range, now: int) -> dict[date, int]:
    counts: dict[date, int] = {}
    for number in blocks:
        for day, count, until in entry.blocks[number].days:
            if until is None or until > now:
                counts[date_of(day)] = counts.get(date_of(day), 0) + count
    return counts
