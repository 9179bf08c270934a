"""The read model is made again while people go on booking and asking: nothing is lost, nobody waits."""

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hoop_platform.clock import Clock
from hoop_platform.consistency_token import encode
from local.testing.client import Client

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.load import event_records
from bench.load.workload import BUSY, DAY, Workload, WorkloadCalendar, busy
from bench.measures.read_model_rebuild import history
from bench.systems.single_service import Servers, running_servers, running_service

pytestmark = [pytest.mark.failure, pytest.mark.timeout(300)]

RATE = 50  # bookings a second
LONGEST_PAUSE = 1.0  # seconds
HALF_HOUR = 1_800_000
TOPICS = ("calendars", "appointments")


@dataclass
class Bookings:
    """Appointments as booking would announce them, one after the other, each where it is free."""

    world: Workload
    bootstrap: str
    ask: Client
    left: Iterator[tuple[WorkloadCalendar, str]]
    versions: Counter[str] = field(default_factory=Counter)
    created: int = 0
    fresh: int = 0
    broken: list[str] = field(default_factory=list)

    async def go_on(self, until: asyncio.Event) -> None:
        """`RATE` a second, whatever else happens; each is asked for at once, with its token."""
        begun = time.monotonic()
        async with event_records.producer(self.bootstrap) as producer, asyncio.TaskGroup() as tasks:
            while not until.is_set():
                tasks.create_task(self._one(producer, *next(self.left)))
                self.created += 1
                await asyncio.sleep(max(begun + self.created / RATE - time.monotonic(), 0))

    async def _one(self, producer: Any, one: WorkloadCalendar, slot: str) -> None:
        start = int(datetime.fromisoformat(slot).timestamp() * 1000)
        self.versions[one.hosts[0]] += 1
        versions = {one.hosts[0]: self.versions[one.hosts[0]]}
        span = (start, start + HALF_HOUR)
        await event_records.send(
            producer, self.world.appointment_record(one, one.hosts[0], span, versions=versions)
        )
        path, query = self.world.free_slots_query(one, first=start - DAY // 2, days=1)
        answer = await self.ask(
            "GET", path, query=query, headers={"X-Read-Token": encode(versions)}
        )
        if answer.status != 200:
            self.broken.append(f"{answer.status}: {answer.body}")
        elif answer.headers.get("X-Stale") != "true":
            self.fresh += 1
            if any(slot in found["slots"] for found in answer.content.values()):
                self.broken.append(
                    f"{slot} of {one.id} is offered by an answer that knows its booking"
                )


@pytest.mark.parametrize(
    ("events", "calendars"),
    [
        pytest.param(20_000, 200, id="20 thousand events"),
        pytest.param(
            100_000,
            1_000,
            id="100 thousand events",
            marks=[pytest.mark.long, pytest.mark.timeout(900)],
        ),
    ],
)
async def test_a_rebuild_while_bookings_go_on(
    events: int, calendars: int, record_property: Callable[[str, object], None]
) -> None:
    """The rebuilt model is the one that only ever followed, byte by byte; no answer is older than its token."""
    world = Workload([WorkloadCalendar([busy(BUSY, seed)]) for seed in range(calendars)])
    async with running_servers() as under:
        counts = await event_records.publish(under.bootstrap, history(world, events))
        dsn = await under.database("availability", "availability")
        async with _answering(under, dsn, world) as ask:
            await event_records.wait_until_consumed(dsn, {name: counts[name] for name in TOPICS})
            bookings = Bookings(world, under.bootstrap, ask, _slots(world))
            longest, took = await _rebuild_meanwhile(under, dsn, bookings)
            counts["appointments"] += bookings.created
            await event_records.wait_until_consumed(dsn, {name: counts[name] for name in TOPICS})
            rebuilt = await under.run(dsn, "availability", "dump", "--canonical")
        followed = await _followed(under, world, counts)
    record_property("booked meanwhile", bookings.created)
    record_property("answered with a token and not stale", bookings.fresh)
    record_property("seconds of the rebuild", round(took, 1))
    record_property("longest pause in seconds", round(longest, 3))
    assert not bookings.broken
    assert bookings.fresh
    assert len(rebuilt.splitlines()) > calendars
    assert rebuilt.splitlines() == followed.splitlines()
    assert longest < LONGEST_PAUSE


@asynccontextmanager
async def _answering(under: Servers, dsn: str, world: Workload) -> AsyncIterator[Client]:
    """The service on this database, and a client of the world's account."""
    async with (
        running_service(under, dsn) as server,
        Client(f"http://127.0.0.1:{server.port}", world.tenant.api_key) as ask,
    ):
        yield ask


async def _followed(under: Servers, world: Workload, counts: dict[str, int]) -> bytes:
    """What a model becomes that reads the same records from the first to the last, and is never rebuilt."""
    dsn = await under.database("followed", "availability")
    async with _answering(under, dsn, world):
        await event_records.wait_until_consumed(dsn, {name: counts[name] for name in TOPICS})
    return await under.run(dsn, "availability", "dump", "--canonical")


async def _rebuild_meanwhile(under: Servers, dsn: str, bookings: Bookings) -> tuple[float, float]:
    """Bookings before, during and after a rebuild; the longest wait for an answer, and its seconds."""
    stop, waits = asyncio.Event(), list[float]()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bookings.go_on(stop))
        tasks.create_task(_ask_again_and_again(bookings, stop, waits))
        await asyncio.sleep(1)
        begun = time.monotonic()
        await under.run(dsn, "availability", "rebuild")
        took = time.monotonic() - begun
        await asyncio.sleep(1)
        stop.set()
    return max(waits), took


async def _ask_again_and_again(bookings: Bookings, stop: asyncio.Event, waits: list[float]) -> None:
    dice = random.Random(1)
    while not stop.is_set():
        path, query = bookings.world.free_slots_query(dice.choice(bookings.world.calendars))
        begun = time.monotonic()
        answer = await bookings.ask("GET", path, query=query)
        waits.append(time.monotonic() - begun)
        assert answer.status == 200, answer.body
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.02)


def _slots(world: Workload) -> Iterator[tuple[WorkloadCalendar, str]]:
    """Free slots, the calendars in turn, each slot once."""
    now = Clock().now()
    free = [
        (one, [slot for day in one.free(30, now).values() for slot in day])
        for one in world.calendars
    ]
    for number in range(min(len(slots) for _, slots in free)):
        for one, slots in free:
            yield one, slots[number]
