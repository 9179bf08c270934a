"""The floors: the least that a broker and a database must do for one booking, and nothing else."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from hoop_platform.config import with_database

TOPIC = "bench-floor"
SIZE = 620
"""Bytes of an event as ours are, envelope included."""

_TABLES = """
    CREATE TABLE decided (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state bytea NOT NULL);
    CREATE TABLE announced (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL);
"""


class Broker:
    """One producer, one consumer, one partition, in this process."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._awaited: dict[bytes, asyncio.Future[float]] = {}

    async def round_trip(self) -> float:
        """Milliseconds from handing a record to the producer until the consumer hands it out."""
        key = os.urandom(16)
        seen = self._awaited[key] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        await self._producer.send(TOPIC, key=key, value=bytes(SIZE))
        async with asyncio.timeout(20):
            arrived: float = await seen
        return (arrived - begun) * 1000

    async def listen(self, consumer: AIOKafkaConsumer) -> None:
        """Say who has arrived, until cancelled."""
        async for record in consumer:
            if (waiting := self._awaited.pop(record.key or b"", None)) and not waiting.done():
                waiting.set_result(time.perf_counter())


@asynccontextmanager
async def broker(facts: Mapping[str, Any]) -> AsyncIterator[Broker]:
    """A bare produce and consume through the broker that the system uses."""
    where = facts["kafka_bootstrap"]
    await _make_topic(where)
    async with (
        AIOKafkaProducer(bootstrap_servers=where, acks="all", enable_idempotence=True) as producer,
        AIOKafkaConsumer(TOPIC, bootstrap_servers=where, auto_offset_reset="earliest") as consumer,
    ):
        floor = Broker(producer)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(floor.listen(consumer))
            try:
                yield floor
            finally:
                listening.cancel()


async def _make_topic(where: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=where)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


class Store:
    """Two rows in one transaction, durable as ours are."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def write(self) -> float:
        """BEGIN, two INSERTs, COMMIT: milliseconds."""
        begun = time.perf_counter()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO decided (state) VALUES ($1)", bytes(SIZE))
            await connection.execute("INSERT INTO announced (body) VALUES ($1)", bytes(SIZE))
        return (time.perf_counter() - begun) * 1000


@asynccontextmanager
async def store(facts: Mapping[str, Any], *, clients: int) -> AsyncIterator[Store]:
    """A bare transaction on the PostgreSQL server that the system uses, in a database of its own."""
    dsn = facts["postgres"]["booking"]
    server = await asyncpg.connect(with_database(dsn, "postgres"), timeout=10)
    try:
        await server.execute("CREATE DATABASE bench_floor")
    finally:
        await server.close(timeout=5)
    own = with_database(dsn, "bench_floor")
    async with asyncpg.create_pool(own, min_size=clients, max_size=clients, timeout=10) as pool:
        await pool.execute(_TABLES)
        yield Store(pool)
