"""A running booking service, a tenant it knows, and helpers to ask it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from booking.__main__ import service
from local.testing import Answer, Client, Tenant, publish, running
from shared.service import Runtime

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
WEEKDAYS = [
    {
        "daysOfTheWeek": [1, 2, 3, 4, 5],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}],
    }
]


def at(minutes: int) -> str:
    """So many minutes after Monday, nine o'clock in New York."""
    return (MONDAY + timedelta(minutes=minutes)).isoformat()


@dataclass
class Office:
    """One tenant asking one booking service."""

    ask: Client
    tenant: Tenant
    runtime: Runtime
    base_url: str
    kafka: str

    async def calendar(self, **settings: Any) -> str:
        body = {
            "locationId": self.tenant.location_id,
            "name": "Consultation",
            "calendarType": "personal",
            "openHours": WEEKDAYS,
            "teamMembers": [{"userId": self.tenant.user_ids[0]}],
            **settings,
        }
        answer = await self.ask("POST", "/calendars/", body)
        assert answer.status == 200, answer.body
        return str(answer.body["calendar"]["id"])

    async def book(self, calendar: str, minutes: int = 0, **more: Any) -> Answer:
        return await self.ask(
            "POST",
            "/calendars/events/appointments",
            {
                "calendarId": calendar,
                "locationId": self.tenant.location_id,
                "contactId": self.tenant.contact_ids[0],
                "startTime": at(minutes),
                **more,
            },
        )

    async def change(self, appointment: str, **patch: Any) -> Answer:
        return await self.ask("PUT", f"/calendars/events/appointments/{appointment}", patch)

    async def announced(self, subject: str) -> list[tuple[str, dict[str, Any]]]:
        """Types and bodies of an aggregate's events, in order."""
        rows = await self.runtime.db.fetch(
            "SELECT type, body FROM announced WHERE subject = $1 ORDER BY sequence", subject
        )
        return [(row["type"], orjson.loads(row["body"])) for row in rows]


@pytest.fixture
async def office(new_database: Any, kafka_bootstrap: str) -> AsyncIterator[Office]:
    database = await new_database("booking")
    await database.execute(
        """
        CREATE TABLE announced AS SELECT * FROM outbox WITH NO DATA;
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO announced SELECT NEW.*; RETURN NEW; END';
        CREATE TRIGGER keep AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION keep();
        """
    )
    tenant = Tenant()
    async with running(
        service, database=database, kafka_bootstrap=kafka_bootstrap, pool_size=20
    ) as (
        base_url,
        runtime,
    ):
        await publish(kafka_bootstrap, *tenant.events)
        async with asyncio.timeout(30):
            while not await runtime.catch_up():  # on a busy machine, more often than once
                pass
        async with Client(base_url, tenant.api_key) as ask:
            yield Office(ask, tenant, runtime, base_url, kafka_bootstrap)
