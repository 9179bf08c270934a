"""Booking by itself: its account known by events, and calendars with one host each."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer

from bench.load import event_records
from bench.load.booking_requests import Account, calendar_body
from bench.report.findings import Broken
from bench.report.progress import ProgressReporter
from bench.systems.single_service import MeasuredServer, Servers, running_service
from hoop_platform.ids import new_id
from local.testing.client import Client
from local.testing.tenant import Tenant

RELAY_LIMIT = 60.0  # seconds
AT_ONCE = 8
_OVERLAPS = """
    SELECT count(*) FROM (
        SELECT starts, max(ends) OVER (PARTITION BY account_id, host_id ORDER BY starts, id
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM session WHERE closed_at IS NULL) AS s
     WHERE s.starts < s.before
"""
_STORED = """
    SELECT count(*) AS appointments, count(DISTINCT session_id) AS sessions
      FROM appointment WHERE occupies AND deleted_at IS NULL
"""
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@dataclass(frozen=True)
class BookingService:
    """The running service, the servers below it, and the calendars that were created in it."""

    servers: Servers
    dsn: str
    server: MeasuredServer
    tenant: Tenant
    calendars: Sequence[str]
    database: asyncpg.Connection

    @property
    def account(self) -> Account:
        return account_of(self.tenant)

    async def wait_until_relayed(self) -> None:
        """Return when the outbox is empty; `Broken` after `RELAY_LIMIT` seconds."""
        deadline = time.monotonic() + RELAY_LIMIT
        while await self.database.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            if time.monotonic() > deadline:
                raise Broken(f"not everything was announced within {RELAY_LIMIT:.0f} s")
            await asyncio.sleep(0.02)

    async def verify(self, booked: int) -> None:
        """Check that as many are stored and announced as were booked, and that no host is double-booked."""
        await self.wait_until_relayed()
        stored = await self.database.fetchrow(_STORED)
        assert stored is not None
        announced = await _announced(self.servers.bootstrap)
        if {booked} != {stored["appointments"], stored["sessions"], announced}:
            raise Broken(
                f"{booked} bookings were answered 200, {stored['appointments']} are stored in"
                f" {stored['sessions']} sessions, and {announced} were announced"
            )
        if overlaps := await self.database.fetchval(_OVERLAPS):
            raise Broken(f"{overlaps} appointments begin before their host is free")

    async def deadlocks(self) -> int:
        """Return how many deadlocks PostgreSQL has broken in booking's database."""
        count: int = await self.database.fetchval(_DEADLOCKS)
        return count


def account_of(tenant: Tenant) -> Account:
    """Return the key, the location and the first contact of a tenant."""
    return Account(tenant.api_key, tenant.location_id, tenant.contact_ids[0])


@asynccontextmanager
async def running_booking(
    progress: ProgressReporter, servers: Servers, *, calendars: int, **settings: object
) -> AsyncIterator[BookingService]:
    """Run booking with `calendars` calendars, one host each, with these calendar settings."""
    hosts = tuple(new_id() for _ in range(calendars))
    tenant = Tenant(user_ids=hosts)
    counts = await event_records.publish(
        servers.bootstrap, map(event_records.record, tenant.events)
    )
    dsn = await servers.database("booking", "booking")
    async with running_service(servers, dsn, "booking") as server:
        await event_records.wait_until_consumed(
            dsn, {name: counts[name] for name in ("users", "contacts")}
        )
        progress.line(f"{calendars} calendars …")
        created = await _create_calendars(server, tenant, settings)
        database = await asyncpg.connect(dsn, timeout=10)
        try:
            measured = replace(server, helper_pids={"postgres": servers.pids["postgres"]})
            service = BookingService(servers, dsn, measured, tenant, created, database)
            await service.wait_until_relayed()
            yield service
        finally:
            await database.close(timeout=5)


async def _create_calendars(
    server: MeasuredServer, tenant: Tenant, settings: dict[str, object]
) -> list[str]:
    limit = asyncio.Semaphore(AT_ONCE)
    async with Client(f"http://127.0.0.1:{server.port}", tenant.api_key) as client:

        async def create(host: str) -> str:
            body = calendar_body(account_of(tenant), host, **settings)
            async with limit:
                response = await client("POST", "/calendars/", body)
            if response.status != 200:
                raise Broken(f"creating a calendar: {response.status} {response.body}")
            return str(response.body["calendar"]["id"])

        return await asyncio.gather(*map(create, tenant.user_ids))


async def _announced(bootstrap: str) -> int:
    """Count the appointments whose creation is on the topic, each once, however often it was sent."""
    seen = set[bytes]()
    async with AIOKafkaConsumer(
        "appointments", bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(at) < end for at, end in ends.items()]):
            seen |= _created(await consumer.getmany(timeout_ms=1000))
    return len(seen)


def _created(batches: dict[Any, Iterable[Any]]) -> set[bytes]:
    records = [record for batch in batches.values() for record in batch]
    return {r.key for r in records if dict(r.headers)["ce_type"].endswith(b"AppointmentCreated")}
