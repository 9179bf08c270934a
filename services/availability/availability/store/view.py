"""The data of one calendar that the slot engine needs, built from the blocks of its resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from availability.domain import CalendarConfig, date_of
from availability.store.blocks import Block
from hoop_platform import consistency_token
from hoop_platform.ids import hexed
from hoop_scheduling.busy import Busy, Seats
from hoop_scheduling.rules import SlotRules


@dataclass(slots=True)
class ResourceEntry:
    """The fetched blocks of one resource. `live`: still cached, hence not invalidated since."""

    account_id: str
    version: int
    blocks: dict[int, Block] = field(default_factory=dict)
    live: bool = False
    weight: int = 0


@dataclass(slots=True)
class CalendarView:
    """A calendar's rules, busy times and seats for some blocks, valid for `now` in [since, until).

    `seats` is None where sessions have a single seat; `all_seats` computes it for those as well.
    """

    config: CalendarConfig
    rules: SlotRules
    busy: Mapping[str, Busy]
    seats: Mapping[tuple[str, int], Seats] | None
    day_counts: Mapping[date, int] | None
    versions: Mapping[str, int]
    token: str
    """The consistency token that names `versions`."""
    since: float
    until: float
    entries: Sequence[ResourceEntry]
    blocks: range

    def is_valid(self, now: int) -> bool:
        """Whether no entry was invalidated and no hold has expired."""
        if not self.since <= now < self.until:
            return False
        return all([entry.live for entry in self.entries])  # noqa: C419 -- a generator takes twice as long

    def all_seats(self, now: int) -> Mapping[tuple[str, int], Seats]:
        return _seats(self.config, self.entries, self.blocks, now)


def build_view(
    config: CalendarConfig,
    entries: Sequence[ResourceEntry],
    by_resource: Mapping[str, ResourceEntry],
    blocks: range,
    now: int,
) -> CalendarView:
    """The view of these entries, which all have these blocks."""
    parts = [entry.blocks[number] for entry in entries for number in blocks]
    times = {
        resource: [by_resource[resource].blocks[number].busy(now) for number in blocks]
        for resource in config.resources
    }
    busy = {
        resource: Busy.joined([piece for piece in pieces if piece.starts])
        for resource, pieces in times.items()
        if any(piece.starts for piece in pieces)
    }
    versions = {r: entry.version for r, entry in by_resource.items() if entry.version}
    rules = config.rules
    return CalendarView(
        config=config,
        rules=rules,
        busy=busy,
        seats=_seats(config, entries, blocks, now) if rules.capacity > 1 else None,
        day_counts=_day_counts(by_resource[config.id], blocks, now) if rules.per_day else None,
        versions=versions,
        token=consistency_token.encode(versions),
        since=max((part.since for part in parts), default=0),
        until=min((part.until for part in parts), default=0),
        entries=entries,
        blocks=blocks,
    )


def _seats(
    config: CalendarConfig, entries: Sequence[ResourceEntry], blocks: range, now: int
) -> dict[tuple[str, int], Seats]:
    calendar = hexed(config.id)
    return {
        (resource, start): seats
        for resource, entry in zip(config.resources, entries, strict=True)
        for number in blocks
        for start, seats in entry.blocks[number].sessions(calendar, now)
    }


def _day_counts(entry: ResourceEntry, blocks: range, now: int) -> dict[date, int]:
    counts: dict[date, int] = {}
    for number in blocks:
        for day, count, until in entry.blocks[number].days:
            if until is None or until > now:
                counts[date_of(day)] = counts.get(date_of(day), 0) + count
    return counts
