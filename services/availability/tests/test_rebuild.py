"""Rebuilding from the topics alone leads to the live read model, while that goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from availability.__main__ import SUBSCRIPTIONS, service
from availability.domain import diff_lines
from availability.jobs.rebuild import RebuildFailed, rebuild
from availability.store.dump import get_dump
from hoop_events.base import Event
from hoop_events.booking import AppointmentCreated, AppointmentDeleted, Hold, HoldChanged
from hoop_events.calendars import (
    BlockSlot,
    BlockSlotChanged,
    CalendarChanged,
    Resource,
    ResourceChanged,
    Schedule,
    ScheduleChanged,
)
from hoop_platform.ids import new_id
from hoop_platform.kafka import inbox
from hoop_platform.kafka.log_reader import open_log_reader
from hoop_platform.kafka.topics import ensure_topics
from local.testing.events import publish
from local.testing.polling import eventually
from local.testing.service import running

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)
AT = 0
"""All holds count."""


@dataclass
class Office:
    """A source of events: one appointment after the other, some of them deleted."""

    calendar: object
    appointment: object
    account_id: str = field(default_factory=new_id)
    dice: Random = field(default_factory=lambda: Random(7))
    states: list = field(default_factory=list)

    def beginning(self) -> list[Event]:
        self.calendars = [self.calendar(new_id(), [new_id(), new_id()]) for _ in range(3)]
        who, when = {"account_id": self.account_id}, {"date_added": MONDAY, "date_updated": MONDAY}
        first = self.calendars[0]
        common = {"sequence": 1, "version": 1, "location_id": first.location_id, **when}
        hosts = [m["userId"] for m in first.settings["teamMembers"]]
        schedule = Schedule(
            id=new_id(),
            user_id=hosts[0],
            name="S",
            timezone="UTC",
            rules=(),
            calendar_ids=(first.id,),
            **common,
        )
        room = Resource(
            id=new_id(), resource_type="rooms", name="R", calendar_ids=(first.id,), **common
        )
        block = BlockSlot(
            id=new_id(),
            calendar_id=None,
            user_id=hosts[1],
            start_time=MONDAY,
            end_time=MONDAY + timedelta(days=90),
            **common,
        )
        hold = Hold(
            id=new_id(),
            sequence=1,
            calendar_id=first.id,
            location_id=first.location_id,
            start_time=MONDAY,
            end_time=MONDAY + timedelta(minutes=30),
            time_zone="UTC",
            session=new_id(),
            hosts=(hosts[0],),
            expires_at=MONDAY,
            versions={hosts[0]: 3},
        )
        return [
            *(CalendarChanged(**who, state=state) for state in self.calendars),
            ScheduleChanged(**who, state=schedule),
            ResourceChanged(**who, state=room),
            BlockSlotChanged(**who, state=block),
            HoldChanged(**who, state=hold),
        ]

    def next(self) -> Event:
        if self.states and self.dice.random() < 0.4:
            old = self.states.pop(self.dice.randrange(len(self.states)))
            state = old.model_copy(update={"sequence": old.sequence + 1, "occupies": False})
            return AppointmentDeleted(account_id=self.account_id, state=state)
        calendar = self.dice.choice(self.calendars)
        host = self.dice.choice(calendar.settings["teamMembers"])["userId"]
        start = MONDAY + timedelta(minutes=30 * self.dice.randrange(5000))
        state = self.appointment(
            new_id(),
            calendar.id,
            host,
            session=new_id(),
            start=start,
            versions={host: self.dice.randrange(99)},
        )
        self.states.append(state)
        return AppointmentCreated(account_id=self.account_id, state=state)


@pytest.fixture(autouse=True)
async def topics(kafka_bootstrap):
    await ensure_topics(kafka_bootstrap)


@pytest.fixture
def office(calendar, appointment):
    return Office(calendar, appointment)


async def consumed(database, kafka_bootstrap):
    """Wait until the model has handled everything that is on its topics."""
    topics = sorted({event.topic for event in SUBSCRIPTIONS})
    async with open_log_reader(kafka_bootstrap, topics) as reader:
        ends = await reader.end_offsets()

    async def caught_up():
        offsets = await inbox.list_offsets(database, topics)
        return all(offsets.get(partition, 0) >= end for partition, end in ends.items())

    await eventually(caught_up, within=30)


@asynccontextmanager
async def announcing(kafka_bootstrap, office) -> AsyncIterator[None]:
    """Publish some fifty events a second until the end of the block."""
    stop = asyncio.Event()

    async def publish_some():
        while not stop.is_set():
            await publish(kafka_bootstrap, *(office.next() for _ in range(5)))
            await asyncio.sleep(0.05)

    task = asyncio.get_running_loop().create_task(publish_some())
    try:
        yield
    finally:
        stop.set()
        await task


def settings_of(database, kafka_bootstrap):
    return service.settings(database_url=database.dsn, kafka_bootstrap=kafka_bootstrap)


async def test_rebuilding_while_events_are_published_loses_and_doubles_nothing(
    new_database, kafka_bootstrap, office
):
    """The rebuilt model, after more events, equals byte for byte one that was rebuilt afterwards."""
    database, other = await new_database("availability"), await new_database("availability")
    await publish(kafka_bootstrap, *office.beginning(), *(office.next() for _ in range(300)))
    async with running(service, database=database, kafka_bootstrap=kafka_bootstrap):
        await consumed(database, kafka_bootstrap)
        async with announcing(kafka_bootstrap, office):
            for _ in range(2):
                await rebuild(settings_of(database, kafka_bootstrap), SUBSCRIPTIONS)
        await consumed(database, kafka_bootstrap)
        live = await get_dump(database, at=AT)
    await rebuild(settings_of(other, kafka_bootstrap), SUBSCRIPTIONS)

    assert diff_lines(live, await get_dump(other, at=AT)) == []
    sequences = "SELECT * FROM applied_event ORDER BY topic, subject"
    assert await database.fetch(sequences) == await other.fetch(sequences)
    assert await inbox.list_offsets(database, ["appointments"]) == await inbox.list_offsets(
        other, ["appointments"]
    )


async def test_a_rebuilt_database_has_the_schema_of_a_migrated_one(new_database, kafka_bootstrap):
    """Tables, indexes and constraints have the same names, so that later migrations apply."""
    database, other = await new_database("availability"), await new_database("availability")
    await rebuild(settings_of(database, kafka_bootstrap), SUBSCRIPTIONS)
    schema = """
        SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
                FROM pg_constraint WHERE contype IN ('p', 'u')
        ORDER BY 1
    """
    assert await database.fetch(schema) == await other.fetch(schema)


async def test_one_rebuild_at_a_time(new_database, kafka_bootstrap):
    """The second is refused, and leaves the first alone."""
    database = await new_database("availability")
    async with database.pool.acquire() as connection:
        await connection.execute("SELECT pg_advisory_lock(727002)")
        with pytest.raises(RebuildFailed):
            await rebuild(settings_of(database, kafka_bootstrap), SUBSCRIPTIONS)
        await connection.execute("SELECT pg_advisory_unlock(727002)")
