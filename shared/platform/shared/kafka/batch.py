"""One batch of one partition, in one transaction: gate, handlers, place. On error it is bisected."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord

from hoop_events import Envelope, Event, Undecodable, UnknownType, decode, envelope
from shared import gate, telemetry
from shared.db import CONTENTION, UNAVAILABLE, Connection, Database
from shared.failpoints import fp
from shared.telemetry import log, span

Handler = Callable[[Connection, Any], Awaitable[None]]
"""Does what one event asks for, in the batch's transaction; never calls a provider."""

Tombstone = Callable[[Connection, str], Awaitable[None]]
"""Forgets the aggregate of this key: its record on the topic is empty now."""

Record = ConsumerRecord[bytes, bytes]

TRIES = 5


@dataclass(frozen=True)
class Subscriptions:
    """What a service listens to."""

    handlers: Mapping[type[Event], Handler]
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(event.topic for event in self.handlers))


@dataclass(frozen=True)
class Told:
    """A record, read."""

    meta: Envelope
    event: Event


class Batches:
    """Handles batches for one service."""

    def __init__(self, database: Database, subscriptions: Subscriptions) -> None:
        self._database = database
        self._subscriptions = subscriptions

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle them all, in order: done, dropped as old, or in quarantine.

        Raises nothing but cancellation: when Postgres is away it waits, for nothing may be skipped.
        """
        tries = 0
        while True:
            try:
                await self._together(records)
            except UNAVAILABLE as error:
                log.warning("postgres unavailable, waiting", error=repr(error))
            except Exception as error:  # noqa: BLE001 -- any failure of a handler is bisected, none is lost
                if len(records) > 1 and not isinstance(error, CONTENTION):
                    return await self._halves(records)
                tries += 1
                log.warning("handler failed", error=repr(error), tries=tries, **_where(records[0]))
                if tries >= TRIES and not isinstance(error, CONTENTION):
                    return await self._set_aside(records[0], error)
            else:
                return None
            await asyncio.sleep(min(0.05 * 2 ** min(tries, 6), 2.0))

    async def _halves(self, records: Sequence[Record]) -> None:
        middle = len(records) // 2
        await self.handle(records[:middle])
        await self.handle(records[middle:])

    async def _together(self, records: Sequence[Record]) -> None:
        topic, partition = records[0].topic, records[0].partition
        async with self._database.transaction() as db:
            start = await gate.enter(db, topic, partition)
            mine = [record for record in records if record.offset >= start]
            if not mine:
                return
            newest = await self._apply(db, topic, mine)
            next_offset = mine[-1].offset + 1
            await gate.leave(db, topic, partition, next_offset=next_offset, newest=newest)
            await fp("batch_handled")
        await fp("batch_committed")

    async def _apply(self, db: Connection, topic: str, records: Sequence[Record]) -> dict[str, int]:
        keys = [(r.key or b"").decode("utf-8", "replace") for r in records]
        known = await gate.applied(db, topic, keys)
        newest: dict[str, int] = {}
        for record in records:
            told = await self._read(db, record)
            if told is None:
                continue
            seen = newest.get(told.event.subject, known.get(told.event.subject, 0))
            if told.event.sequence <= seen:
                self._count(topic, "old")
                continue
            await self._deliver(db, told, record)
            newest[told.event.subject] = told.event.sequence
            self._count(topic, "handled")
        return newest

    async def _read(self, db: Connection, record: Record) -> Told | None:
        """The event of a record, or None when there is nothing to handle (any more)."""
        if record.value is None:
            await self._forget(db, record)
            return None
        try:
            meta = envelope(record.headers)
            return Told(meta, decode(meta, record.value, self._subscriptions.handlers))
        except UnknownType:
            self._count(record.topic, "not ours")
        except Undecodable as error:
            await self._quarantine(db, record, error)
        return None

    async def _forget(self, db: Connection, record: Record) -> None:
        tombstone = self._subscriptions.tombstones.get(record.topic)
        if tombstone and record.key:
            await tombstone(db, record.key.decode("utf-8", "replace"))
        self._count(record.topic, "tombstone")

    async def _deliver(self, db: Connection, told: Told, record: Record) -> None:
        attributes = {
            "messaging.system": "kafka",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "messaging.message.id": told.meta.id,
            "hoop.event": told.event.type,
        }
        title = f"{told.event.topic} process"
        with span(title, kind="consumer", parent=told.meta.traceparent, attributes=attributes):
            await self._subscriptions.handlers[type(told.event)](db, told.event)

    async def _set_aside(self, record: Record, error: Exception) -> None:
        """It failed every time: keep it for a person and go on. Its aggregate's next event heals."""
        while True:
            try:
                async with self._database.transaction() as db:
                    if await gate.enter(db, record.topic, record.partition) <= record.offset:
                        await self._quarantine(db, record, error)
                        await gate.leave(
                            db,
                            record.topic,
                            record.partition,
                            next_offset=record.offset + 1,
                            newest={},
                        )
            except UNAVAILABLE:
                await asyncio.sleep(1)
            else:
                return

    async def _quarantine(self, db: Connection, record: Record, error: Exception) -> None:
        log.error("record quarantined", error=repr(error), **_where(record))
        self._count(record.topic, "quarantined")
        await gate.quarantine(
            db,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=record.headers,
            error=repr(error),
        )

    def _count(self, topic: str, fate: str) -> None:
        telemetry.consumed.labels(telemetry.name(), topic, fate).inc()


def _where(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
