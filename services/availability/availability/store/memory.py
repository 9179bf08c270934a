"""What a replica knows by heart: kept equal to the projection, or not used at all.

Every commit that touches the read model tells (NOTIFY) which resources and calendars it touched.
What is told is forgotten; what was being fetched meanwhile is answered and not kept. While nobody
listens, nothing is kept and nothing kept is used. So an answer is at most one notification late.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from availability.domain import Offer, blocks_around
from availability.store.view import Entry, View, put_together
from availability.store.window import Fetched, fetch, fetch_calendar
from hoop_platform.db.database import Database
from hoop_platform.ids import spell

CALENDARS = 20_000
"""So many calendars' rules are kept at most."""
VIEWS = 4
"""So many windows of a calendar are kept put together."""
EVERYTHING = "*"


@dataclass(slots=True)
class Known:
    """A calendar, and the views of it that were asked for lately."""

    offer: Offer
    views: dict[range, View] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Fetching:
    """A statement on its way, and what was told meanwhile; two that heard the same are still two."""

    told: set[str] = field(default_factory=set)
    lost: bool = False


class Memory:
    """The memory of one replica: bounded by the number of intervals in it, the oldest go first."""

    _of: "WeakKeyDictionary[Database, Memory]" = WeakKeyDictionary()

    def __init__(self, database: Database, *, intervals: int) -> None:
        self._database = database
        self._most = intervals
        self.weight = 0
        self.listening = False
        self.statements = 0
        self._calendars: OrderedDict[str, Known] = OrderedDict()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._fetching: list[Fetching] = []

    @classmethod
    def of(cls, database: Database, *, intervals: int) -> "Memory":
        """The one memory of a replica, which its routes and its jobs share."""
        found = cls._of.get(database)
        if found is None:
            found = cls._of[database] = cls(database, intervals=intervals)
        return found

    def begin(self) -> None:
        """From here on everything is told."""
        self._forget_all()
        self.listening = True

    def end(self) -> None:
        """Nothing is told any more."""
        self.listening = False
        self._forget_all()

    def heard(self, page: str) -> None:
        """A notification: ids of resources, `!` before those of calendars with other rules; or `*`."""
        if page == EVERYTHING:
            self._forget_all()
            return
        words = page.split(",")
        self.forget([_id(word) for word in words if word[0] != "!"])
        for word in words:
            if word[0] == "!":
                self.forget_rules(_id(word[1:]))

    def forget(self, ids: Iterable[str]) -> None:
        """These have changed, or may have."""
        for resource_id in ids:
            for fetching in self._fetching:
                fetching.told.add(resource_id)
            self._drop(resource_id)

    def forget_rules(self, calendar_id: str) -> None:
        """The rules of this calendar have changed, or may have."""
        for fetching in self._fetching:
            fetching.told.add(f"!{calendar_id}")
        self._calendars.pop(calendar_id, None)

    async def view(
        self, account_id: str, calendar_id: str, start: int, end: int, *, now: int
    ) -> View | None:
        """What answers about [start, end) stand on, by one statement at most; None: no such calendar.

        A second statement is needed by a calendar that nobody has asked about yet and whose
        appointments are longer than a day.
        """
        known = self._calendars.get(calendar_id)
        if known is None or known.offer.account_id != account_id:
            return await self._unknown(account_id, calendar_id, start, end, now)
        blocks = blocks_around(start, end, known.offer.rules.length)
        view = known.views.get(blocks)
        if view is not None and view.holds(now):
            return view
        return await self._known(known, blocks, now)

    async def _unknown(
        self, account_id: str, calendar_id: str, start: int, end: int, now: int
    ) -> View | None:
        fetching, blocks = self._begin_fetching(), blocks_around(start, end)
        try:
            self.statements += 1
            found = await fetch_calendar(self._database, account_id, calendar_id, blocks)
        finally:
            self._fetching.remove(fetching)
        if found is None or found.offer is None:
            return None
        known = Known(found.offer)
        entries = self._entries_of(known.offer, found, fetching)
        if self._may_keep(fetching) and f"!{calendar_id}" not in fetching.told:
            self._calendars[calendar_id] = known
            if len(self._calendars) > CALENDARS:
                self._calendars.popitem(last=False)
        wanted = blocks_around(start, end, known.offer.rules.length)
        if wanted == blocks:
            return self._put_together(known, entries, blocks, now)
        return await self._known(known, wanted, now)

    async def _known(self, known: Known, blocks: range, now: int) -> View:
        offer = known.offer
        here = {resource: self._entry(offer, resource) for resource in offer.resources}
        missing = [(r, b) for r, entry in here.items() for b in blocks if b not in entry.blocks]
        if missing:
            fetching = self._begin_fetching()
            try:
                self.statements += 1
                found = await fetch(self._database, offer, missing)
            finally:
                self._fetching.remove(fetching)
            here |= self._entries_of(offer, found, fetching, here)
        return self._put_together(known, here, blocks, now)

    def _entry(self, offer: Offer, resource: str) -> Entry:
        entry = self._entries.get(resource)
        if entry is None or entry.account_id != offer.account_id:
            return Entry(offer.account_id, 0)
        self._entries.move_to_end(resource)
        return entry

    def _begin_fetching(self) -> Fetching:
        fetching = Fetching()
        self._fetching.append(fetching)
        return fetching

    def _may_keep(self, fetching: Fetching) -> bool:
        return self.listening and not fetching.lost

    def _entries_of(
        self,
        offer: Offer,
        found: Fetched,
        fetching: Fetching,
        here: Mapping[str, Entry] | None = None,
    ) -> dict[str, Entry]:
        """What was found, beside what was here; kept, unless it was told of meanwhile."""
        entries: dict[str, Entry] = {}
        for (resource, number), block in found.blocks.items():
            if resource not in entries:
                before = here[resource].blocks if here else {}
                version = found.versions[resource]
                entries[resource] = Entry(offer.account_id, version, dict(before))
            entries[resource].blocks[number] = block
        if self._may_keep(fetching):
            for resource in entries.keys() - fetching.told:
                self._keep(resource, entries[resource])
        return entries

    def _keep(self, resource: str, entry: Entry) -> None:
        self._drop(resource)
        entry.live = True
        entry.weight = sum(1 + len(b.taken) + len(b.days) for b in entry.blocks.values())
        self._entries[resource] = entry
        self.weight += entry.weight
        while self.weight > self._most and self._entries:
            self._drop(next(iter(self._entries)))

    def _drop(self, resource: str) -> None:
        entry = self._entries.pop(resource, None)
        if entry is not None:
            entry.live = False
            self.weight -= entry.weight

    def _forget_all(self) -> None:
        for fetching in self._fetching:
            fetching.lost = True
        for entry in self._entries.values():
            entry.live = False
        self._entries.clear()
        self._calendars.clear()
        self.weight = 0

    def _put_together(
        self, known: Known, here: Mapping[str, Entry], blocks: range, now: int
    ) -> View:
        offer = known.offer
        entries = [here[resource] for resource in offer.resources if resource in here]
        view = put_together(offer, entries, dict(here), blocks, now)
        if len(known.views) >= VIEWS:
            known.views.clear()
        known.views[blocks] = view
        return view


def _id(raw: str) -> str:
    return spell(bytes.fromhex(raw))
