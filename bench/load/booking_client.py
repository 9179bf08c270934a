"""A client of the public API that sets up calendars and books their slots; HTTP only, so any commit's API."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, Self, TypeVar

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from yarl import URL

from bench.load.booking_requests import Account, calendar_body
from bench.report.findings import Broken

FIRST_SLOT = datetime(2030, 1, 7, tzinfo=UTC)  # far from "now", so that no rule about now matters
SLOT = timedelta(minutes=5)
KNOWN_LIMIT = 60.0  # seconds

T = TypeVar("T")


class ApiError(Exception):
    """The API refused a request that sets up the data; the text holds status and body."""


@dataclass(frozen=True)
class BookedAppointment:
    """An appointment whose POST was answered 200 after `ms` milliseconds, in the trace with this id."""

    id: str
    trace: str
    ms: float


@dataclass
class Calendars:
    """Calendars with one host each; `next` returns each of their slots once, the calendars in turn."""

    ids: list[str]
    extra_fields: dict[str, object] = field(default_factory=dict)
    """Further fields of a booking's body."""

    def __post_init__(self) -> None:
        self._free = self._slots()

    def _slots(self) -> Iterator[tuple[str, datetime]]:
        start = FIRST_SLOT
        for number, calendar in enumerate(cycle(self.ids)):
            yield calendar, start
            start += SLOT * ((number + 1) % len(self.ids) == 0)

    def next(self) -> tuple[str, datetime]:
        return next(self._free)


class BookingClient:
    """Sends requests with the demo account's key, over as many connections as there are tasks."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.account = Account(facts["api_key"], facts["location_id"], facts["contact_ids"][0])
        self._booked = self._created = 0

    async def __aenter__(self) -> Self:
        connector = TCPConnector(limit=0, keepalive_timeout=60)
        self.http = ClientSession(timeout=ClientTimeout(total=30), connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    async def request(
        self, method: str, path: str, body: object = None, **query: str
    ) -> dict[str, Any]:
        """Return the body of a response; `ApiError` unless the status is below 300."""
        headers = {"Authorization": f"Bearer {self.account.api_key}", "Version": "2021-07-28"}
        async with self.http.request(
            method, self.facts["base_url"] + path, json=body, params=query, headers=headers
        ) as response:
            content: dict[str, Any] = await response.json()
            if response.status >= 300:
                raise ApiError(f"{method} {path}: {response.status} {content}")
            return content

    async def create_calendars(self, count: int, *, connected: bool) -> Calendars:
        """Create calendars with a new host each: with Zoom and Google connected, or with neither."""
        first, self._created = self._created, self._created + count
        numbers = range(first, first + count)
        ids = [await self._create_calendar(number, connected=connected) for number in numbers]
        return Calendars(ids, {} if connected else {"toNotify": False})

    async def _create_calendar(self, number: int, *, connected: bool) -> str:
        user = await self.create_user(f"bench-{'connected' if connected else 'plain'}-{number}")
        if connected:
            person = f"{user}@zoom.example.com"
            await until_known(lambda: self._connect("zoom", {"userId": user}, person))
        venues = [{"kind": "zoom_conference"}] if connected else []
        calendar = await self.create_calendar(
            user,
            slotDuration=5,
            slotInterval=5,
            teamMembers=[{"userId": user, "locationConfigurations": venues}],
        )
        if connected:
            owner = f"{user}@google.example.com"
            await until_known(lambda: self._connect("google", {"calendarId": calendar}, owner))
        return calendar

    async def _connect(self, provider: str, body: Mapping[str, str], person: str) -> None:
        """Connect an account at a provider: follow its consent page, signed in as this person."""
        begun = await self.request("POST", f"/integrations/{provider}/connect", body)
        address = URL(begun["authorizeUrl"]).update_query(login_hint=person)
        async with self.http.get(address) as page:
            if page.status != 200:
                raise ApiError(f"connecting {provider}: {page.status} {await page.text()}")

    async def create_user(self, name: str) -> str:
        """Create a user of the demo account's location; return its id."""
        body = {
            "name": name,
            "email": f"{name}@staff.example.com",
            "locationIds": [self.account.location_id],
        }
        created = await self.request("POST", "/users/", body)
        return str(created["user"]["id"])

    async def create_calendar(self, host: str, **settings: object) -> str:
        """Create a calendar of this host, as soon as booking knows the host; return its id."""
        body = calendar_body(self.account, host, **settings)
        created = await until_known(lambda: self.request("POST", "/calendars/", body))
        return str(created["calendar"]["id"])

    async def book(self, calendars: Calendars, *, traced: bool = True) -> BookedAppointment:
        """Book the next free slot in a trace of its own; `Broken` unless the response is 200.

        `traced`: services export the spans of this booking.
        """
        calendar, start = calendars.next()
        self._booked += 1
        trace = f"{time.time_ns():016x}{self._booked:016x}"
        body = {
            "calendarId": calendar,
            "locationId": self.account.location_id,
            "contactId": self.account.contact_id,
            "startTime": start.isoformat(),
            **calendars.extra_fields,
        }
        address = self.facts["base_url"] + "/calendars/events/appointments"
        begun = time.perf_counter()
        async with self.http.post(
            address, json=body, headers=self._headers(trace, traced=traced)
        ) as response:
            appointment = await response.json()
            ms = (time.perf_counter() - begun) * 1000
            if response.status != 200:
                raise Broken(f"a booking was answered {response.status}: {appointment}")
        return BookedAppointment(str(appointment["id"]), trace, ms)

    def _headers(self, trace: str, *, traced: bool) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {self.account.api_key}",
            "Version": "v3",
            "traceparent": f"00-{trace}-{trace[16:]}-{traced:02x}",
        }


async def until_known(operation: Callable[[], Awaitable[T]]) -> T:
    """Repeat a request while a service may not have consumed yet what another one announced."""
    deadline = time.monotonic() + KNOWN_LIMIT
    while True:
        try:
            return await operation()
        except ApiError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)
