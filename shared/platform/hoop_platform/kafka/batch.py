"""Handling one batch of one partition in one transaction: inbox, handlers, offset. On error the batch is bisected."""

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
"""Deletes what is stored of the aggregate with this key: its latest record is empty."""

Record = ConsumerRecord[bytes, bytes]

TRIES = 5
"""Failures of a single record before it becomes a dead letter."""
DOUBTS = 20
"""How often a handler may report Postgres as unavailable although it responds, before the record is blamed."""
LONGEST_PAUSE = 2.0
STOPPED_SECONDS = 5.0
STOP_AFTER = 10
"""Keys in a row that may become dead letters; the next failure is taken for a fault of our own, and
the partition stops until its record can be handled."""


@dataclass(frozen=True)
class Subscriptions:
    """The events and tombstones that a service handles."""

    handlers: Mapping[type[Event], Handler]
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(event.topic for event in self.handlers))

    @cached_property
    def types(self) -> Mapping[str, type[Event]]:
        """The events that have a handler, by type name."""
        return {event.type: event for event in self.handlers}


@dataclass(frozen=True)
class DecodedRecord:
    """A record with its envelope and event."""

    meta: Envelope
    event: Event


@dataclass
class BatchResult:
    """What a batch did; counted and logged only once the transaction is committed."""

    fates: Counter[str] = field(default_factory=Counter)
    newest: dict[str, int] = field(default_factory=dict)
    dead_letters: list[tuple[Record, Exception]] = field(default_factory=list)


class BatchHandler:
    """Handles the batches of one service."""

    def __init__(self, database: Database, subscriptions: Subscriptions, clock: Clock) -> None:
        self._database = database
        self._subscriptions = subscriptions
        self._clock = clock
        self._failed: dict[tuple[str, int], set[bytes]] = {}

    async def handle(self, records: Sequence[Record]) -> None:
        """Handle records of one partition in order: each is applied, dropped as old, or a dead letter.

        Raises nothing but cancellation: while Postgres is away it waits, for no record may be skipped.
        """
        waits = tries = doubts = 0
        while True:
            try:
                return await self.handle_batch(records)
            except CONTENTION as error:
                _log_failure("contention", error, records)
            except UNAVAILABLE as error:
                _log_failure("postgres unavailable, waiting", error, records)
                doubts += await self._postgres_responds()
                if doubts >= DOUBTS and await self.bisect(records, error):
                    return None
            except Exception as error:  # noqa: BLE001 -- any failure of a handler is bisected, none is lost
                _log_failure("handler failed", error, records)
                tries += 1
                if (len(records) > 1 or tries >= TRIES) and await self.bisect(records, error):
                    return None
            waits += 1
            await asyncio.sleep(min(0.025 * 2 ** min(waits, 7), LONGEST_PAUSE))

    async def _postgres_responds(self) -> bool:
        try:
            return bool(await self._database.fetchval("SELECT true"))
        except UNAVAILABLE:
            return False

    async def bisect(self, records: Sequence[Record], error: Exception) -> bool:
        """Handle the two halves separately; a single record becomes a dead letter.

        Returns False if the batch must be tried again.
        """
        if len(records) == 1:
            return await self._bury(records[0], error)
        middle = len(records) // 2
        await self.handle(records[:middle])
        await self.handle(records[middle:])
        return True

    async def handle_batch(self, records: Sequence[Record]) -> None:
        """Handle all records in one transaction, together with the partition's offset."""
        topic, partition = records[0].topic, records[0].partition
        async with self._database.transaction() as db:
            start = await inbox.lock_offset(db, topic, partition)
            new = [record for record in records if record.offset >= start]
            if not new:
                return
            result = await self._apply(db, topic, new)
            next_offset = new[-1].offset + 1
            await inbox.save_offset(
                db, topic, partition, next_offset=next_offset, newest=result.newest
            )
            await fp("batch_handled")
        self._report(topic, partition, result)
        await fp("batch_committed")

    async def _apply(self, db: Tx, topic: str, records: Sequence[Record]) -> BatchResult:
        result = BatchResult()
        applied = await inbox.list_applied(db, topic, {_key(r) for r in records})
        for record in records:
            try:
                decoded = self._decode(record)
            except UnknownType:
                result.fates["other type"] += 1
            except Undecodable as error:
                await _insert_dead_letter(db, record, error)
                result.dead_letters.append((record, error))
            else:
                fate = await self._deliver(db, decoded, record, applied)
                result.fates[fate] += 1
                if decoded is not None and fate == "handled":
                    newest = {decoded.event.subject: decoded.event.sequence}
                    applied |= newest
                    result.newest |= newest
        return result

    async def replay_one(self, db: Tx, record: Record) -> None:
        """Handle one record whatever its offset, in this transaction; raises what its handler raises."""
        decoded = self._decode(record)
        applied = await inbox.list_applied(db, record.topic, [_key(record)])
        fate = await self._deliver(db, decoded, record, applied)
        if decoded is not None and fate == "handled":
            newest = {decoded.event.subject: decoded.event.sequence}
            await inbox.save_applied(db, record.topic, newest)

    def _decode(self, record: Record) -> DecodedRecord | None:
        """The event of a record; None for a tombstone."""
        if record.value is None:
            return None
        meta = envelope(record.headers)
        event = decode(meta, record.value, self._subscriptions.types)
        if _key(record) != event.subject:
            raise Undecodable("the record's key is not its aggregate's id")
        return DecodedRecord(meta, event)

    async def _deliver(
        self, db: Tx, decoded: DecodedRecord | None, record: Record, applied: Mapping[str, int]
    ) -> str:
        """Call the handler unless the event is old; returns the record's fate."""
        if decoded is None:
            tombstone = self._subscriptions.tombstones.get(record.topic)
            if tombstone and record.key:
                await tombstone(db, _key(record))
            return "tombstone"
        event = decoded.event
        if event.sequence <= applied.get(event.subject, 0):
            return "old"
        title = f"{event.topic} process"
        attributes = _attributes(decoded, record)
        with span(title, kind="consumer", parent=decoded.meta.traceparent, attributes=attributes):
            await self._subscriptions.handlers[type(event)](db, event, self._clock.now())
        return "handled"

    async def _bury(self, record: Record, error: Exception) -> bool:
        """Store a record that failed every time as a dead letter, and go on behind it.

        The aggregate's next event carries the whole state, so nothing else depends on this one. When
        one key after the other fails, the fault is ours: then the partition stops. Returns whether
        the record is stored.
        """
        partition, key = (record.topic, record.partition), record.key or b""
        failed = self._failed.setdefault(partition, set())
        if len(failed | {key}) > STOP_AFTER:
            log.error("partition stopped: one key after the other fails", **_position(record))
            await asyncio.sleep(STOPPED_SECONDS)
            return False
        try:
            async with self._database.transaction() as db:
                if await inbox.lock_offset(db, *partition) <= record.offset:
                    await _insert_dead_letter(db, record, error)
                    await inbox.save_offset(
                        db, *partition, next_offset=record.offset + 1, newest={}
                    )
        except UNAVAILABLE:
            return False
        failed.add(key)
        self._report(*partition, BatchResult(dead_letters=[(record, error)]))
        return True

    def _report(self, topic: str, partition: int, result: BatchResult) -> None:
        """Count what was committed, and log its dead letters."""
        if result.fates["handled"]:
            self._failed.pop((topic, partition), None)
        result.fates["dead letter"] += len(result.dead_letters)
        for fate, count in result.fates.items():
            telemetry.consumed.labels(telemetry.name(), topic, fate).inc(count)
        for record, error in result.dead_letters:
            log.error("dead letter stored", error=cause(error), **_position(record))


async def _insert_dead_letter(db: Tx, record: Record, error: Exception) -> None:
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
    """The record's key as text that Postgres can store; a key that this alters is no id of ours."""
    return (record.key or b"").decode("utf-8", "replace").replace("\0", "\ufffd")


def _attributes(decoded: DecodedRecord, record: Record) -> Mapping[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "messaging.message.id": decoded.meta.id,
        "hoop.event": decoded.event.type,
    }


def _log_failure(what: str, error: Exception, records: Sequence[Record]) -> None:
    log.warning(what, error=cause(error), records=len(records), **_position(records[0]))


def _position(record: Record) -> dict[str, object]:
    return {"topic": record.topic, "partition": record.partition, "offset": record.offset}
