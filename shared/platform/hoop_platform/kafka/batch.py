"""One batch of one partition, in one transaction: gate, handlers, place. On error it is bisected."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from aiokafka import ConsumerRecord

from hoop_events.base import Event
from hoop_events.codec import Envelope, Undecodable, UnknownType, decode, envelope
from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.db.database import CONTENTION, UNAVAILABLE, Database, Tx
from hoop_platform.failpoints import fp
from hoop_platform.kafka import dead_letters, inbox
from hoop_platform.telemetry import cause, log, span

Handler = Callable[[Tx, Any, datetime], Awaitable[None]]
"""Applies one event in the batch's transaction, at the given instant of business time; never calls
a provider."""

Tombstone = Callable[[Tx, str], Awaitable[None]]
"""Forgets the aggregate of this key: its record on the topic is empty now."""

Record = ConsumerRecord[bytes, bytes]

TRIES = 5
"""So often a record may fail before it is set aside."""
DOUBTS = 20
"""So often Postgres may be called unavailable although it answers, before the record is blamed."""
LONGEST_PAUSE = 2.0
STOPPED_SECONDS = 5.0
STOP_AFTER = 10
"""So many keys in a row may be set aside; the next one is our fault, and is tried until it works."""


@dataclass(frozen=True)
class Subscriptions:
    """What a service listens to."""

    handlers: Mapping[type[Event], Handler]
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(event.topic for event in self.handlers))

    @cached_property
    def types(self) -> Mapping[str, type[Event]]:
        """The events with a handler, by the name of their type."""
        return {event.type: event for event in self.handlers}


@dataclass(frozen=True)
class DecodedRecord:
    """A record, read."""

    meta: Envelope
    event: Event


@dataclass
class BatchResult:
    """What a batch did: counted and said only once it is committed."""

    fates: Counter[str] = field(default_factory=Counter)
    newest: dict[str, int] = field(default_factory=dict)
    quarantined: list[tuple[Record, Exception]] = field(default_factory=list)


class BatchHandler:
    """Handles batches for one service."""

    def __init__(self, database: Database, subscriptions: Subscriptions, clock: Clock) -> None:
        self._clock = clock
        self._database = database
        self._subscriptions = subscriptions
        self._failed: dict[tuple[str, int], set[bytes]] = {}

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle them all, in order: done, dropped as old, or in quarantine.

        Raises nothing but cancellation: when Postgres is away it waits, for nothing may be skipped.
        """
        waits = tries = doubts = 0
        while True:
            try:
                return await self._together(records)
            except CONTENTION as error:
                _say("contention", error, records)
            except UNAVAILABLE as error:
                _say("postgres unavailable, waiting", error, records)
                doubts += await self._answers()
                if doubts >= DOUBTS and await self._apart(records, error):
                    return None
            except Exception as error:  # noqa: BLE001 -- any failure of a handler is bisected, none is lost
                _say("handler failed", error, records)
                tries += 1
                if (len(records) > 1 or tries >= TRIES) and await self._apart(records, error):
                    return None
            waits += 1
            await asyncio.sleep(min(0.025 * 2 ** min(waits, 7), LONGEST_PAUSE))

    async def _answers(self) -> bool:
        try:
            return bool(await self._database.fetchval("SELECT true"))
        except UNAVAILABLE:
            return False

    async def _apart(self, records: Sequence[Record], error: Exception) -> bool:
        """Handle the halves by themselves; a single record is to blame. Say whether that settled it."""
        if len(records) == 1:
            return await self._set_aside(records[0], error)
        middle = len(records) // 2
        await self.handle(records[:middle])
        await self.handle(records[middle:])
        return True

    async def _together(self, records: Sequence[Record]) -> None:
        topic, partition = records[0].topic, records[0].partition
        async with self._database.transaction() as db:
            start = await inbox.lock_offset(db, topic, partition)
            mine = [record for record in records if record.offset >= start]
            if not mine:
                return
            applied = await self._apply(db, topic, mine)
            next_offset = mine[-1].offset + 1
            await inbox.save_offset(
                db, topic, partition, next_offset=next_offset, newest=applied.newest
            )
            await fp("batch_handled")
        self._tell(topic, partition, applied)
        await fp("batch_committed")

    async def _apply(self, db: Tx, topic: str, records: Sequence[Record]) -> BatchResult:
        applied, known = (
            BatchResult(),
            await inbox.list_applied(db, topic, {_key(r) for r in records}),
        )
        for record in records:
            try:
                told = self._read(record)
            except UnknownType:
                applied.fates["not ours"] += 1
            except Undecodable as error:
                await _quarantine(db, record, error)
                applied.quarantined.append((record, error))
            else:
                fate = await self._deliver(db, told, record, known)
                applied.fates[fate] += 1
                if told is not None and fate == "handled":
                    news = {told.event.subject: told.event.sequence}
                    known |= news
                    applied.newest |= news
        return applied

    async def again(self, db: Tx, record: Record) -> None:
        """Handle one record wherever its place is, in this transaction; raises what hinders it."""
        told, known = self._read(record), await inbox.list_applied(db, record.topic, [_key(record)])
        fate = await self._deliver(db, told, record, known)
        if told is not None and fate == "handled":
            await inbox.save_applied(db, record.topic, {told.event.subject: told.event.sequence})

    def _read(self, record: Record) -> DecodedRecord | None:
        """The event of a record; None when it is a tombstone."""
        if record.value is None:
            return None
        meta = envelope(record.headers)
        event = decode(meta, record.value, self._subscriptions.types)
        if _key(record) != event.subject:
            raise Undecodable("the record's key is not its aggregate's id")
        return DecodedRecord(meta, event)

    async def _deliver(
        self, db: Tx, told: DecodedRecord | None, record: Record, known: Mapping[str, int]
    ) -> str:
        """Call the handler, unless the event is old. Answers the record's fate."""
        if told is None:
            tombstone = self._subscriptions.tombstones.get(record.topic)
            if tombstone and record.key:
                await tombstone(db, _key(record))
            return "tombstone"
        if told.event.sequence <= known.get(told.event.subject, 0):
            return "old"
        title = f"{told.event.topic} process"
        attributes = _attributes(told, record)
        with span(title, kind="consumer", parent=told.meta.traceparent, attributes=attributes):
            await self._subscriptions.handlers[type(told.event)](db, told.event, self._clock.now())
        return "handled"

    async def _set_aside(self, record: Record, error: Exception) -> bool:
        """It failed every time: keep it for a person and go on. Its aggregate's next event heals.

        When one key after the other fails, something of ours is broken: then the partition stops.
        """
        place, key = (record.topic, record.partition), record.key or b""
        failed = self._failed.setdefault(place, set())
        if len(failed | {key}) > STOP_AFTER:
            log.error("partition stopped: one key after the other fails", **_where(record))
            await asyncio.sleep(STOPPED_SECONDS)
            return False
        try:
            async with self._database.transaction() as db:
                if await inbox.lock_offset(db, *place) <= record.offset:
                    await _quarantine(db, record, error)
                    await inbox.save_offset(db, *place, next_offset=record.offset + 1, newest={})
        except UNAVAILABLE:
            return False
        failed.add(key)
        self._tell(*place, BatchResult(quarantined=[(record, error)]))
        return True

    def _tell(self, topic: str, partition: int, applied: BatchResult) -> None:
        """Count, and say aloud what was quarantined: it is committed now."""
        if applied.fates["handled"]:
            self._failed.pop((topic, partition), None)
        applied.fates["quarantined"] += len(applied.quarantined)
        for fate, count in applied.fates.items():
            telemetry.consumed.labels(telemetry.name(), topic, fate).inc(count)
        for record, error in applied.quarantined:
            log.error("record quarantined", error=cause(error), **_where(record))


async def _quarantine(db: Tx, record: Record, error: Exception) -> None:
    await dead_letters.insert_dead_letter(
        db,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        value=record.value,
        headers=record.headers,
        error=cause(error),
    )


def _key(record: Record) -> str:
    """The record's key as Postgres can store it; what is altered by that is no id of ours."""
    return (record.key or b"").decode("utf-8", "replace").replace("\0", "\ufffd")


def _attributes(told: DecodedRecord, record: Record) -> Mapping[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "messaging.message.id": told.meta.id,
        "hoop.event": told.event.type,
    }


def _say(what: str, error: Exception, records: Sequence[Record]) -> None:
    log.warning(what, error=cause(error), records=len(records), **_where(records[0]))


def _where(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
