"""Booking by itself: an account told by events, calendars with a host each, and requests that book them."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaConsumer

from hoop_platform.ids import new_id
from local.testing.client import Client
from local.testing.tenant import Tenant

from . import told
from .alone import Ground, Server, serving
from .desk import ALWAYS_OPEN
from .measures import Task
from .plan import Broken
from .world import FIRST

PATH = "/calendars/events/appointments"
LENGTH = timedelta(minutes=30)
STARTS = 30 * 48
"""Of a calendar: half an hour each, for 30 days, day and night."""
TAKEN_EVERY = 100
"""Every hundredth asks for a time that somebody has."""
RELAYED_LIMIT = 60.0  # seconds
AT_ONCE = 8
_OVERLAPS = """
    SELECT count(*) FROM (
        SELECT starts, max(ends) OVER (PARTITION BY account_id, host_id ORDER BY starts, id
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM session WHERE closed_at IS NULL) AS s
     WHERE s.starts < s.before
"""
_SEATS = """
    SELECT count(*) AS appointments, count(DISTINCT session_id) AS sessions
      FROM appointment WHERE occupies AND deleted_at IS NULL
"""
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True)
class Office:
    """The running service, what stands under it, and the calendars that were made in it."""

    under: Ground
    dsn: str
    server: Server
    tenant: Tenant
    calendars: Sequence[str]
    database: asyncpg.Connection

    async def relayed(self) -> None:
        """Return when everything that was decided has been announced."""
        deadline = time.monotonic() + RELAYED_LIMIT
        while await self.database.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            if time.monotonic() > deadline:
                raise Broken(f"not everything was announced within {RELAYED_LIMIT:.0f} s")
            await asyncio.sleep(0.02)

    async def verify(self, booked: int) -> None:
        """As many are stored and announced as were answered, and nobody is in two places at once."""
        await self.relayed()
        stored = await self.database.fetchrow(_SEATS)
        assert stored is not None
        announced = await _announced(self.under.bootstrap)
        if {booked} != {stored["appointments"], stored["sessions"], announced}:
            raise Broken(
                f"{booked} bookings were answered 200, {stored['appointments']} are stored in"
                f" {stored['sessions']} sessions, and {announced} were announced"
            )
        if overlaps := await self.database.fetchval(_OVERLAPS):
            raise Broken(f"{overlaps} appointments begin before their host is free")

    async def deadlocks(self) -> int:
        """How many the server has had to break, in booking's database."""
        found: int = await self.database.fetchval(_DEADLOCKS)
        return found


@asynccontextmanager
async def opened(
    task: Task, under: Ground, *, calendars: int, **settings: object
) -> AsyncIterator[Office]:
    """Booking with so many calendars, a host each; `settings` are the calendars'."""
    hosts = tuple(new_id() for _ in range(calendars))
    tenant = Tenant(user_ids=hosts)
    counts = await told.publish(under.bootstrap, map(told.record, tenant.events))
    dsn = await under.database("booking", "booking")
    async with serving(under, dsn, "booking") as server:
        await told.handled(dsn, {name: counts[name] for name in ("users", "contacts")})
        task.talk.say(f"{calendars} calendars …")
        made = await _made(server, tenant, settings)
        database = await asyncpg.connect(dsn, timeout=10)
        try:
            working = replace(server, beside={"postgres": under.pids["postgres"]})
            office = Office(under, dsn, working, tenant, made, database)
            await office.relayed()
            yield office
        finally:
            await database.close(timeout=5)


async def _made(server: Server, tenant: Tenant, settings: dict[str, object]) -> list[str]:
    limit = asyncio.Semaphore(AT_ONCE)
    async with Client(f"http://127.0.0.1:{server.port}", tenant.api_key) as ask:

        async def calendar(host: str) -> str:
            body = {
                "locationId": tenant.location_id,
                "name": "Bench",
                "calendarType": "personal",
                "openHours": ALWAYS_OPEN,
                "slotDuration": 30,
                "slotInterval": 30,
                "teamMembers": [{"userId": host}],
                **settings,
            }
            async with limit:
                answer = await ask("POST", "/calendars/", body)
            if answer.status != 200:
                raise Broken(f"a calendar was answered {answer.status}: {answer.body}")
            return str(answer.body["calendar"]["id"])

        return await asyncio.gather(*map(calendar, tenant.user_ids))


def request(tenant: Tenant, calendar: str, start: datetime) -> str:
    """The whole request that books this time, as it goes over the wire."""
    body = orjson.dumps(
        {
            "calendarId": calendar,
            "locationId": tenant.location_id,
            "contactId": tenant.contact_ids[0],
            "startTime": start.isoformat(),
            "toNotify": False,
        }
    ).decode()
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nVersion: v3\r\n"
        f"Authorization: Bearer {tenant.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )


@dataclass
class Slots:
    """Every time of every calendar once, at random; the first of each calendar is taken before."""

    tenant: Tenant
    calendars: Sequence[str]
    seed: int = 1
    given: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        firsts = [(calendar, self._dice.randrange(STARTS)) for calendar in self.calendars]
        gone = set(firsts)
        self._free = [
            one
            for calendar in self.calendars
            for n in range(STARTS)
            if (one := (calendar, n)) not in gone
        ]
        self._dice.shuffle(self._free)
        self.taken = [self._request(*one) for one in firsts]

    def _request(self, calendar: str, number: int) -> str:
        return request(self.tenant, calendar, FIRST + number * LENGTH)

    def next(self, count: int) -> list[str]:
        """Requests for times that nobody has; every hundredth for one that is taken."""
        free = (self._request(*one) for one in islice(self._free, self.given, None))
        asked = [
            self._dice.choice(self.taken) if is_refused(n) else next(free, "") for n in range(count)
        ]
        if "" in asked:
            raise Broken("so many rounds need more times than the calendars have")
        return asked

    def used(self, count: int) -> None:
        """So many of the last `next` were asked for: those are gone."""
        self.given += count - refused(count)


def is_refused(number: int) -> bool:
    return number % TAKEN_EVERY == TAKEN_EVERY - 1


def refused(count: int) -> int:
    """How many of so many requests, from the first on, ask for a time that is taken."""
    return count // TAKEN_EVERY


async def _announced(bootstrap: str) -> int:
    """Appointments whose creation is on the topic, each once however often it was sent."""
    seen = set[bytes]()
    async with AIOKafkaConsumer(
        "appointments", bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            seen |= _created(await consumer.getmany(timeout_ms=1000))
    return len(seen)


def _created(batches: dict[Any, Iterable[Any]]) -> set[bytes]:
    records = [record for batch in batches.values() for record in batch]
    return {r.key for r in records if dict(r.headers)["ce_type"].endswith(b"AppointmentCreated")}
