"""The platform's outbox and its relay, in the database of a reconciler."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from hoop_platform.db.database import Database
from hoop_platform.outbox.relay import Relay

TOPIC = "bench-relay"
TABLES = ("outbox",)
SIZE = 620
"""Bytes of an event, about as many as ours have, envelope included."""
_WRITE = """
    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema, time, body)
    SELECT gen_random_uuid(), $2, 'bench', 'bench', gen_random_uuid()::text, 1, gen_random_uuid(),
           'bench', clock_timestamp(), $3
      FROM generate_series(1, $1::int)
"""


@dataclass(frozen=True)
class OutboxRelay:
    """Writes rows into the outbox, runs a relay, and counts the records that arrived at the broker."""

    database: Database
    bootstrap: str
    broker: AIOKafkaConsumer
    partitions: Sequence[TopicPartition]

    async def write(self, count: int) -> None:
        """Write so many events into the outbox, in one transaction."""
        async with self.database.transaction() as db:
            await db.execute(_WRITE, count, TOPIC, bytes(SIZE))

    async def relayed(self) -> int:
        """Return how many records the topic has."""
        return sum((await self.broker.end_offsets(self.partitions)).values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run one relay meanwhile."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Relay(self.database, bootstrap=self.bootstrap).run(stop))
            try:
                yield
            finally:
                stop.set()
                self.database.notify()


@asynccontextmanager
async def outbox_relay(database: Database, bootstrap: str) -> AsyncIterator[OutboxRelay]:
    """Create the topic of the events, with one partition."""
    async with AsyncExitStack() as opened:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        opened.push_async_callback(admin.close)
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
        broker = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        await broker.start()
        opened.push_async_callback(broker.stop)
        yield OutboxRelay(database, bootstrap, broker, [TopicPartition(TOPIC, 0)])
