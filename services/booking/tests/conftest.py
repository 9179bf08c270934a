"""A running booking service, a tenant whose events it has received, and a client with helpers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from booking.__main__ import service
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.handlers.appointments import book_held
from booking.handlers.block_slots import create_block_slot
from booking.handlers.calendars import update_calendar
from booking.handlers.groups import create_group
from booking.handlers.holds import HoldRequest, create_hold
from booking.handlers.inspect import audit
from booking.handlers.resources import create_resource
from booking.handlers.schedules import create_schedule
from booking.store.projections import upsert_contact
from hoop_events.booking import Appointment, Hold
from hoop_events.calendars import BlockSlot, CalendarGroup, Resource, Schedule
from hoop_platform.ids import new_id
from hoop_platform.runtime import Runtime
from local.testing.client import Client, Response
from local.testing.events import publish
from local.testing.service import running
from local.testing.tenant import Tenant

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
WEEKDAYS = [
    {
        "daysOfTheWeek": [1, 2, 3, 4, 5],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}],
    }
]


NOW = datetime(2027, 2, 1, 12, 0, tzinfo=UTC)


def moment(minutes: int) -> datetime:
    """So many minutes after Monday, nine o'clock in New York."""
    return MONDAY + timedelta(minutes=minutes)


def at(minutes: int) -> str:
    """The same as a client writes it."""
    return moment(minutes).isoformat()


@dataclass
class Office:
    """A tenant, its client of one running booking service, and helpers."""

    request: Client
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
        response = await self.request("POST", "/calendars/", body)
        assert response.status == 200, response.body
        return str(response.body["calendar"]["id"])

    async def book(self, calendar: str, minutes: int = 0, **more: Any) -> Response:
        return await self.request(
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

    async def contacts(self, count: int) -> list[str]:
        """So many more contacts, whom booking knows."""
        created = [new_id() for _ in range(count)]
        async with self.runtime.db.transaction() as db:
            for contact in created:
                await upsert_contact(
                    db,
                    self.tenant.account_id,
                    contact,
                    location_id=self.tenant.location_id,
                    name="Cora Contact",
                )
        return created

    async def change(self, appointment: str, **patch: Any) -> Response:
        return await self.request("PUT", f"/calendars/events/appointments/{appointment}", patch)

    async def run(self, command: Any, *args: Any) -> Any:
        """A command of this account in a transaction of its own."""
        async with self.runtime.db.transaction() as db:
            return await command(db, self.tenant.account_id, *args, now=NOW)

    async def schedule(self, *calendars: str, **fields: Any) -> Schedule:
        fields = {
            **self._initial_fields(),
            "user_id": self.tenant.user_ids[0],
            "name": "Mornings",
            "timezone": "America/New_York",
            "rules": [
                {"type": "wday", "day": "monday", "intervals": [{"from": "09:00", "to": "12:00"}]}
            ],
            "calendar_ids": calendars,
            **fields,
        }
        created: Schedule = await self.run(create_schedule, Schedule.model_validate(fields))
        return created

    async def resource(self, kind: str, *calendars: str, **fields: Any) -> Resource:
        fields = {
            **self._initial_fields(),
            "resource_type": kind,
            "name": "Thing",
            "calendar_ids": calendars,
            **fields,
        }
        created: Resource = await self.run(create_resource, Resource.model_validate(fields))
        return created

    async def block(self, start: int, end: int, **target: str) -> BlockSlot:
        fields = {
            **self._initial_fields(),
            "calendar_id": None,
            "user_id": None,
            "start_time": moment(start),
            "end_time": moment(end),
            **target,
        }
        created: BlockSlot = await self.run(create_block_slot, BlockSlot.model_validate(fields))
        return created

    async def group(self, slug: str) -> CalendarGroup:
        fields = {**self._initial_fields(), "name": "Group", "slug": slug}
        created: CalendarGroup = await self.run(create_group, CalendarGroup.model_validate(fields))
        return created

    async def hold(self, calendar: str, minutes: int = 0, *, lasts: int = 10) -> Hold:
        """Held for so many minutes from `NOW`."""
        wanted = HoldRequest(calendar, moment(minutes), NOW + timedelta(minutes=lasts))
        return await create_hold(self.runtime.db, self.tenant.account_id, new_id(), wanted, now=NOW)

    async def hold_at(self, calendar: str, *, after: int) -> Hold:
        """The first time of Monday, requested so many minutes after `NOW`."""
        now = NOW + timedelta(minutes=after)
        wanted = HoldRequest(calendar, MONDAY, now + timedelta(minutes=10))
        return await create_hold(self.runtime.db, self.tenant.account_id, new_id(), wanted, now=now)

    async def run_outside(self, command: Any, *args: Any) -> Any:
        """A command of this account that opens its own transactions."""
        return await command(self.runtime.db, self.tenant.account_id, *args, now=NOW)

    async def join(self, group: str, calendar: str) -> None:
        """Put a calendar into a group."""
        await self.run(update_calendar, calendar, {"groupId": group})

    async def book_held(self, hold: str, *, after: int = 0, **fields: Any) -> Appointment:
        """The hold becomes an appointment, so many minutes after `NOW`."""
        return await book_held(
            self.runtime.db,
            self.tenant.account_id,
            NewAppointment(hold, self.tenant.contact_ids[0]),
            AppointmentPatch(**fields),
            location_id=self.tenant.location_id,
            now=NOW + timedelta(minutes=after),
        )

    def _initial_fields(self) -> dict[str, Any]:
        """The fields of every new aggregate."""
        return {
            "id": new_id(),
            "sequence": 1,
            "version": 1,
            "location_id": self.tenant.location_id,
            "date_added": NOW,
            "date_updated": NOW,
        }

    now = NOW

    @staticmethod
    def moment(minutes: int) -> datetime:
        return moment(minutes)

    async def violations(self) -> list[str]:
        """The output of `booking verify`."""
        return await audit(self.runtime.db)

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
        async with Client(base_url, tenant.api_key) as request:
            yield Office(request, tenant, runtime, base_url, kafka_bootstrap)
