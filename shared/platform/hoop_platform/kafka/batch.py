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


Decoded = DecodedRecord | UnknownType | Undecodable | None
"""What a record is: an event, of a type that is not handled here, no event of ours, or a tombstone."""


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
        """Handle all records in one transaction, together with the partition's offset.

        Records of which none has a handler need no transaction: their offset alone is stored.
        """
        topic, partition = records[0].topic, records[0].partition
        next_offset, result = records[-1].offset + 1, BatchResult()
        decoded = [(record, self._try_decode(record)) for record in records]
        if any(self._is_handled(record, found) for record, found in decoded):
            async with self._database.transaction() as db:
                subjects = {_key(record) for record in records}
                start, applied = await inbox.enter_batch(db, topic, partition, subjects)
                if start >= next_offset:
                    return
                new = [pair for pair in decoded if pair[0].offset >= start]
                await self._apply(db, new, applied, result)
                await inbox.leave_batch(
                    db, topic, partition, next_offset=next_offset, newest=result.newest
                )
                await fp("batch_handled")
        elif await inbox.leave_batch(
            self._database, topic, partition, next_offset=next_offset, newest={}
        ):
            result.fates.update(_unhandled_fate(found) for _, found in decoded)
        self._report(topic, partition, result)
        await fp("batch_committed")

    async def _apply(
        self,
        db: Tx,
        decoded: Sequence[tuple[Record, Decoded]],
        applied: dict[str, int],
        result: BatchResult,
    ) -> None:
        for record, found in decoded:
            if isinstance(found, Undecodable):
                await dead_letters.insert_dead_letter(db, record, cause(found))
                result.dead_letters.append((record, found))
                continue
            fate = await self._deliver(db, found, record, applied)
            result.fates[fate] += 1
            if isinstance(found, DecodedRecord) and fate == "handled":
                newest = {found.event.subject: found.event.sequence}
                applied |= newest
                result.newest |= newest

    async def replay_one(self, db: Tx, record: Record) -> None:
        """Handle one record whatever its offset, in this transaction; raises what its handler raises."""
        topic, partition, key = record.topic, record.partition, _key(record)
        found, newest = self._decode(record), {}
        start, applied = await inbox.enter_batch(db, topic, partition, [key])
        fate = await self._deliver(db, found, record, applied)
        if found is not None and fate == "handled":
            newest = {found.event.subject: found.event.sequence}
        await inbox.leave_batch(db, topic, partition, next_offset=start, newest=newest)

    def _try_decode(self, record: Record) -> Decoded:
        try:
            return self._decode(record)
        except (UnknownType, Undecodable) as error:
            return error

    def _decode(self, record: Record) -> DecodedRecord | None:
        """The event of a record; None for a tombstone."""
        if record.value is None:
            return None
        meta = envelope(record.headers)
        event = decode(meta, record.value, self._subscriptions.types)
        if _key(record) != event.subject:
            raise Undecodable("the record's key is not its aggregate's id")
        return DecodedRecord(meta, event)

    def _is_handled(self, record: Record, found: Decoded) -> bool:
        """Whether something has to be written for the record."""
        if found is None:
            return record.topic in self._subscriptions.tombstones
        return not isinstance(found, UnknownType)

    async def _deliver(
        self,
        db: Tx,
        decoded: DecodedRecord | UnknownType | None,
        record: Record,
        applied: Mapping[str, int],
    ) -> str:
        """Call the handler unless the event is old; returns the record's fate."""
        tombstone = self._subscriptions.tombstones.get(record.topic)
        if decoded is None and tombstone and record.key:
            await tombstone(db, _key(record))
        if not isinstance(decoded, DecodedRecord):
            return _unhandled_fate(decoded)
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
                next_offset = record.offset + 1
                if await inbox.leave_batch(db, *partition, next_offset=next_offset, newest={}):
                    await dead_letters.insert_dead_letter(db, record, cause(error))
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


def _unhandled_fate(found: Decoded) -> str:
    return "tombstone" if found is None else "other type"


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
