"""A consumer for tests, without Kafka: records are handed to it, and it works until nothing is due."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from aiokafka import ConsumerRecord

from hoop_events.base import Event
from hoop_events.codec import body
from hoop_platform.db.database import Database
from hoop_platform.kafka.batch import BatchHandler, Subscriptions
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import Service, open_runtime, worker_of
from local.testing.events import headers

NO_KAFKA = "127.0.0.1:1"


class Consumer:
    """A service that receives the records that a test delivers."""

    def __init__(self, service: Service, runtime: Runtime[Any]) -> None:
        self.runtime = runtime
        subscriptions = Subscriptions(service.subscriptions, service.tombstones)
        self._batches = BatchHandler(runtime.db, subscriptions, runtime.clock)
        self._worker = worker_of(service, runtime)
        self._offsets = count()

    async def deliver(self, *events: Event) -> None:
        """Hand over one record for each event, in one batch of one partition."""
        records = [_record(event, next(self._offsets)) for event in events]
        await self._batches.handle_batch(records)

    async def work(self) -> None:
        """Work on desired states until none is due; those that wait for a repetition stay."""
        while await self._worker.once():
            pass

    async def statuses(self) -> list[str]:
        """The statuses of all desired states, in the order of their subjects."""
        rows = await self.runtime.db.fetch("SELECT status FROM work ORDER BY subject")
        return [row["status"] for row in rows]


def _record(event: Event, offset: int) -> ConsumerRecord[bytes, bytes]:
    key, value = event.subject.encode(), body(event)
    return ConsumerRecord(
        topic=event.topic,
        partition=0,
        offset=offset,
        timestamp=0,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key),
        serialized_value_size=len(value),
        headers=tuple(headers(event)),
    )


@asynccontextmanager
async def consuming(
    service: Service, database: Database, **settings: object
) -> AsyncIterator[Consumer]:
    """The service on a migrated database; `settings` by their field names."""
    values: dict[str, Any] = {"database_url": database.dsn, "kafka_bootstrap": NO_KAFKA, **settings}
    silent = replace(service, subscriptions={}, tombstones={})
    tables = GlobalTables(NO_KAFKA)
    async with open_runtime(silent, service.settings(**values), tables) as runtime:
        yield Consumer(service, runtime)
