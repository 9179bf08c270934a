"""The clients of the API whose bookings are measured: they set up calendars, and book."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, Self, TypeVar

from aiohttp import ClientSession, ClientTimeout, TCPConnector

from local.demo.demo_data import Api, SetupFailed

from .plan import Broken

ALWAYS_OPEN = [
    {
        "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
        "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 23, "closeMinute": 60}],
    }
]
FIRST_SLOT = datetime(2030, 1, 7, tzinfo=UTC)  # far from "now", so that no rule about now matters
SLOT = timedelta(minutes=5)
KNOWN_LIMIT = 20.0  # seconds

T = TypeVar("T")


@dataclass(frozen=True)
class Booked:
    """An appointment that was answered 200. `ms`: how long the answer took. `trace`: its story."""

    id: str
    trace: str
    ms: float


@dataclass
class Calendars:
    """Some calendars, one host each, whose slots are given out once, round the hosts."""

    ids: list[str]
    shown: dict[str, object] = field(default_factory=dict)
    """What a booking on them says besides."""

    def __post_init__(self) -> None:
        self._free = self._slots()

    def _slots(self) -> Iterator[tuple[str, datetime]]:
        start = FIRST_SLOT
        for number, calendar in enumerate(cycle(self.ids)):
            yield calendar, start
            start += SLOT * ((number + 1) % len(self.ids) == 0)

    def next(self) -> tuple[str, datetime]:
        return next(self._free)


class Desk:
    """Asks with the demo account's key, over as many connections as are asked for."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self._booked = 0

    async def __aenter__(self) -> Self:
        connector = TCPConnector(limit=0, keepalive_timeout=60)
        self.http = ClientSession(timeout=ClientTimeout(total=30), connector=connector)
        self._api = Api(self.http, self.facts["base_url"], self.facts["api_key"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def calendars(self, count: int, *, connected: bool) -> Calendars:
        """Calendars with a new host each: with Zoom and Google connected, or with neither."""
        made = [await self._calendar(number, connected=connected) for number in range(count)]
        return Calendars(made, {} if connected else {"toNotify": False})

    async def _calendar(self, number: int, *, connected: bool) -> str:
        user = await self._user(f"bench-{'connected' if connected else 'plain'}-{number}")
        if connected:
            person = f"{user}@zoom.example.com"
            await self._connect("zoom", {"userId": user}, person)
        place = [{"kind": "zoom_conference"}] if connected else []
        body = {
            "locationId": self.facts["location_id"],
            "name": "Bench",
            "calendarType": "personal",
            "openHours": ALWAYS_OPEN,
            "slotDuration": 5,
            "slotInterval": 5,
            "teamMembers": [{"userId": user, "locationConfigurations": place}],
        }
        made, _ = await _until_known(lambda: self._api.ask("POST", "/calendars/", body))
        calendar = str(made["calendar"]["id"])
        if connected:
            person = f"{user}@google.example.com"
            await self._connect("google", {"calendarId": calendar}, person)
        return calendar

    async def _connect(self, provider: str, body: Mapping[str, str], person: str) -> None:
        await _until_known(lambda: self._api.connect(provider, body, person=person))

    async def _user(self, name: str) -> str:
        ours = [self.facts["location_id"]]
        body = {"name": name, "email": f"{name}@staff.example.com", "locationIds": ours}
        made, _ = await self._api.ask("POST", "/users/", body)
        return str(made["user"]["id"])

    async def book(self, calendars: Calendars) -> Booked:
        """Take the next free slot; anything but 200 is `Broken`. Its trace's id is ours."""
        calendar, start = calendars.next()
        self._booked += 1
        trace = f"{time.time_ns():016x}{self._booked:016x}"
        body = {
            "calendarId": calendar,
            "locationId": self.facts["location_id"],
            "contactId": self.facts["contact_ids"][0],
            "startTime": start.isoformat(),
            **calendars.shown,
        }
        address = self.facts["base_url"] + "/calendars/events/appointments"
        begun = time.perf_counter()
        async with self.http.post(address, json=body, headers=self._headers(trace)) as response:
            said = await response.json()
            ms = (time.perf_counter() - begun) * 1000
            if response.status != 200:
                raise Broken(f"a booking was answered {response.status}: {said}")
        return Booked(str(said["id"]), trace, ms)

    def _headers(self, trace: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.facts['api_key']}",
            "Version": "v3",
            "traceparent": f"00-{trace}-{trace[16:]}-01",
        }


async def _until_known(deed: Callable[[], Awaitable[T]]) -> T:
    """What was made a moment ago, another service may not know yet: again, for a while."""
    deadline = time.monotonic() + KNOWN_LIMIT
    while True:
        try:
            return await deed()
        except SetupFailed:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)
