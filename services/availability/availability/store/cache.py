"""A replica's cache of views: equal to the read model, or not used.

Every commit that changes the read model notifies (NOTIFY) which resources and calendars changed.
Their entries are dropped; what was being fetched meanwhile answers its request and is not cached.
While nobody listens, nothing is cached and nothing cached is used. So a response is at most one
notification late.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from availability.domain import CalendarConfig, blocks_around
from availability.store.blocks import FetchedBlocks, get_calendar_blocks, list_blocks
from availability.store.view import CalendarView, ResourceEntry, build_view
from hoop_platform.db.database import Database
from hoop_platform.ids import spell

MAX_CALENDARS = 20_000
"""Calendars whose rules are cached at most."""
MAX_VIEWS = 4
"""Views cached of one calendar at most, one for each range of blocks."""
EVERYTHING = "*"


@dataclass(slots=True)
class CachedCalendar:
    """A calendar, and its views of the latest requests by range of blocks."""

    config: CalendarConfig
    views: dict[range, CalendarView] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class PendingFetch:
    """A statement that is running, and what was invalidated meanwhile; compared by identity."""

    invalidated: set[str] = field(default_factory=set)
    """Ids of resources, and `!` with the id of calendars whose rules changed."""
    all_invalidated: bool = False


class ViewCache:
    """The cache of one replica: bounded by the number of intervals in it, the oldest go first."""

    _of: "WeakKeyDictionary[Database, ViewCache]" = WeakKeyDictionary()

    def __init__(self, database: Database, *, intervals: int) -> None:
        self._database = database
        self._max_weight = intervals
        self.weight = 0
        self.listening = False
        self.used = asyncio.Event()
        """Set by every request for a view."""
        self.statements = 0
        """Statements that were needed so far."""
        self._calendars: OrderedDict[str, CachedCalendar] = OrderedDict()
        self._entries: OrderedDict[str, ResourceEntry] = OrderedDict()
        self._fetches: list[PendingFetch] = []

    @classmethod
    def of(cls, database: Database, *, intervals: int) -> "ViewCache":
        """The one cache of a replica, which its routes and its listener share."""
        found = cls._of.get(database)
        if found is None:
            found = cls._of[database] = cls(database, intervals=intervals)
        return found

    def start_listening(self) -> None:
        """From now on every change is notified."""
        self._invalidate_all()
        self.listening = True

    def stop_listening(self) -> None:
        """From now on changes may go unnoticed."""
        self.listening = False
        self._invalidate_all()

    def on_notification(self, payload: str) -> None:
        """Drop what a notification names: comma-separated ids of resources, or `*` for everything.

        `!` stands before the ids of calendars whose rules changed.
        """
        if payload == EVERYTHING:
            self._invalidate_all()
            return
        words = payload.split(",")
        self.invalidate([_id(word) for word in words if word[0] != "!"])
        for word in words:
            if word[0] == "!":
                self.invalidate_rules(_id(word[1:]))

    def invalidate(self, ids: Iterable[str]) -> None:
        """Drop the occupied times of these resources."""
        for resource_id in ids:
            for fetch in self._fetches:
                fetch.invalidated.add(resource_id)
            self._drop(resource_id)

    def invalidate_rules(self, calendar_id: str) -> None:
        """Drop the rules of this calendar."""
        for fetch in self._fetches:
            fetch.invalidated.add(f"!{calendar_id}")
        self._calendars.pop(calendar_id, None)

    async def view(
        self, account_id: str, calendar_id: str, start: int, end: int, *, now: int
    ) -> CalendarView | None:
        """The view for slots that start in [start, end); None if the calendar is unknown.

        It takes no statement or one; two for a calendar that is not cached and whose appointments
        are longer than a day.
        """
        self.used.set()
        calendar = self._calendars.get(calendar_id)
        if calendar is None or calendar.config.account_id != account_id:
            return await self._fetch_calendar(account_id, calendar_id, start, end, now)
        blocks = blocks_around(start, end, calendar.config.rules.length)
        view = calendar.views.get(blocks)
        if view is not None and view.is_valid(now):
            return view
        return await self._fetch_missing(calendar, blocks, now)

    async def _fetch_calendar(
        self, account_id: str, calendar_id: str, start: int, end: int, now: int
    ) -> CalendarView | None:
        fetch, blocks = self._begin_fetch(), blocks_around(start, end)
        try:
            self.statements += 1
            found = await get_calendar_blocks(self._database, account_id, calendar_id, blocks)
        finally:
            self._fetches.remove(fetch)
        if found is None:
            return None
        calendar = CachedCalendar(found.config)
        entries = self._entries_from(found, fetch)
        if self._may_cache(fetch) and f"!{calendar_id}" not in fetch.invalidated:
            self._calendars[calendar_id] = calendar
            if len(self._calendars) > MAX_CALENDARS:
                self._calendars.popitem(last=False)
        needed = blocks_around(start, end, calendar.config.rules.length)
        if needed == blocks:
            return self._build_view(calendar, entries, blocks, now)
        return await self._fetch_missing(calendar, needed, now)

    async def _fetch_missing(
        self, calendar: CachedCalendar, blocks: range, now: int
    ) -> CalendarView:
        """The view of these blocks, after fetching those that are not cached."""
        config = calendar.config
        entries = {resource: self._entry(config, resource) for resource in config.resources}
        missing = [(r, b) for r, entry in entries.items() for b in blocks if b not in entry.blocks]
        if missing:
            fetch = self._begin_fetch()
            try:
                self.statements += 1
                found = await list_blocks(self._database, config, missing)
            finally:
                self._fetches.remove(fetch)
            entries |= self._entries_from(found, fetch, entries)
        return self._build_view(calendar, entries, blocks, now)

    def _entry(self, config: CalendarConfig, resource: str) -> ResourceEntry:
        entry = self._entries.get(resource)
        if entry is None or entry.account_id != config.account_id:
            return ResourceEntry(config.account_id, 0)
        self._entries.move_to_end(resource)
        return entry

    def _begin_fetch(self) -> PendingFetch:
        fetch = PendingFetch()
        self._fetches.append(fetch)
        return fetch

    def _may_cache(self, fetch: PendingFetch) -> bool:
        return self.listening and not fetch.all_invalidated

    def _entries_from(
        self,
        found: FetchedBlocks,
        fetch: PendingFetch,
        previous: Mapping[str, ResourceEntry] | None = None,
    ) -> dict[str, ResourceEntry]:
        """The fetched blocks beside the previous ones; cached, unless invalidated meanwhile."""
        entries: dict[str, ResourceEntry] = {}
        for (resource, number), block in found.blocks.items():
            if resource not in entries:
                before = previous[resource].blocks if previous else {}
                version = found.versions[resource]
                entries[resource] = ResourceEntry(found.config.account_id, version, dict(before))
            entries[resource].blocks[number] = block
        if self._may_cache(fetch):
            for resource in entries.keys() - fetch.invalidated:
                self._add(resource, entries[resource])
        return entries

    def _add(self, resource: str, entry: ResourceEntry) -> None:
        self._drop(resource)
        entry.live = True
        entry.weight = sum(1 + len(b.intervals) + len(b.days) for b in entry.blocks.values())
        self._entries[resource] = entry
        self.weight += entry.weight
        while self.weight > self._max_weight and self._entries:
            self._drop(next(iter(self._entries)))

    def _drop(self, resource: str) -> None:
        entry = self._entries.pop(resource, None)
        if entry is not None:
            entry.live = False
            self.weight -= entry.weight

    def _invalidate_all(self) -> None:
        for fetch in self._fetches:
            fetch.all_invalidated = True
        for entry in self._entries.values():
            entry.live = False
        self._entries.clear()
        self._calendars.clear()
        self.weight = 0

    def _build_view(
        self,
        calendar: CachedCalendar,
        by_resource: Mapping[str, ResourceEntry],
        blocks: range,
        now: int,
    ) -> CalendarView:
        config = calendar.config
        entries = [by_resource[r] for r in config.resources if r in by_resource]
        view = build_view(config, entries, dict(by_resource), blocks, now)
        if len(calendar.views) >= MAX_VIEWS:
            calendar.views.clear()
        calendar.views[blocks] = view
        return view


def _id(raw: str) -> str:
    return spell(bytes.fromhex(raw))
