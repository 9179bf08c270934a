"""A small service for tests: it announces that something was noted, and writes down what it hears."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.partitioner import DefaultPartitioner

from hoop_events.base import Event, State
from hoop_events.codec import body
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from hoop_platform.kafka.batch import Subscriptions
from hoop_platform.kafka.group import ConsumerGroup
from hoop_platform.outbox.announce import announce
from local.testing import events

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


class Note(State):
    text: str = ""


class Noted(Event):
    """Something was noted."""

    type: ClassVar = "Noted"
    source: ClassVar = "/test"

    state: Note


def noted_on(on: str) -> type[Noted]:
    """The event, on this topic."""

    class OnTopic(Noted):
        topic: ClassVar = on

    return OnTopic


def note(noted: type[Noted], subject: str, sequence: int, text: str = "") -> Noted:
    return noted(account_id=subject, state=Note(id=subject, sequence=sequence, text=text))


def headers(event: Event, traceparent: str | None = None) -> list[tuple[str, bytes]]:
    return events.headers(event, time=NOON, traceparent=traceparent)


def record(event: Event, offset: int, **other: Any) -> ConsumerRecord:
    """The event as partition 0 would bring it; `other` attributes as told."""
    said: dict[str, Any] = {
        "topic": event.topic,
        "partition": 0,
        "offset": offset,
        "timestamp": 0,
        "timestamp_type": 0,
        "key": event.subject.encode(),
        "value": body(event),
        "checksum": None,
        "serialized_key_size": 0,
        "serialized_value_size": 0,
        "headers": tuple(headers(event)),
    }
    return ConsumerRecord(**{**said, **other})


def subject_on(partition: int) -> str:
    """A new id whose records go to this partition of three."""
    while DefaultPartitioner()((found := new_id()).encode(), [0, 1, 2], [0, 1, 2]) != partition:
        pass
    return found


async def flood(bootstrap: str, events: Sequence[Event]) -> None:
    """Send many events at once."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        sent = [
            await producer.send(e.topic, key=e.subject.encode(), value=body(e), headers=headers(e))
            for e in events
        ]
        await asyncio.gather(*sent)


async def say(database: Database, *events: Event) -> None:
    """Announce them in a transaction."""
    async with database.transaction() as db:
        await announce(db, *events, now=NOON)


class Listener:
    """Writes down what it hears, in the database; fails at a text it was told to."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.tries = 0

    async def hear(self, db: Tx, event: Noted, _: datetime) -> None:
        self.tries += 1
        if event.state.text in self.failing:
            raise RuntimeError("cannot handle this")
        await db.execute(
            "INSERT INTO heard (subject, sequence, text) VALUES ($1, $2, $3)",
            event.subject,
            event.sequence,
            event.state.text,
        )


async def heard(database: Database, subject: str) -> Sequence[int]:
    """The sequences heard of a subject, in the order of hearing."""
    rows = await database.fetch("SELECT sequence FROM heard WHERE subject = $1 ORDER BY n", subject)
    return [row["sequence"] for row in rows]


def subscriptions(noted: type[Noted], listener: Listener, **more: Any) -> Subscriptions:
    return Subscriptions({noted: listener.hear}, **more)


def group(
    database: Database,
    bootstrap: str,
    noted: type[Noted],
    listener: Listener | None = None,
    *,
    name: str | None = None,
) -> ConsumerGroup:
    """A member of a group; of one of its own if no name is given."""
    heard_by = subscriptions(noted, listener or Listener())
    return ConsumerGroup(
        name or f"test-{new_id()}", database, heard_by, bootstrap=bootstrap, clock=Clock()
    )


class Part(Protocol):
    async def run(self, stop: asyncio.Event) -> None: ...


@asynccontextmanager
async def going(*parts: Part) -> AsyncIterator[None]:
    """Run the parts of a service beside the test; a part that fails comes out at the end."""
    stop = asyncio.Event()
    tasks = [asyncio.get_running_loop().create_task(part.run(stop)) for part in parts]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(40):
            await asyncio.gather(*tasks)
