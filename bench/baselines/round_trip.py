"""The baseline of an effect: one record produced to and consumed from the system's own broker."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

TOPIC = "bench-floor"
SIZE = 620
"""Bytes of an event, about as many as ours have, envelope included."""


class EchoTopic:
    """One producer, one consumer, one partition, in this process."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._pending: dict[bytes, asyncio.Future[float]] = {}

    async def round_trip(self) -> float:
        """Return the milliseconds from handing a record to the producer until it was consumed."""
        key = os.urandom(16)
        consumed = self._pending[key] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        await self._producer.send(TOPIC, key=key, value=bytes(SIZE))
        async with asyncio.timeout(20):
            arrived: float = await consumed
        return (arrived - begun) * 1000

    async def consume(self, consumer: AIOKafkaConsumer) -> None:
        """Resolve the future of each record that arrives, until cancelled."""
        async for record in consumer:
            pending = self._pending.pop(record.key or b"", None)
            if pending and not pending.done():
                pending.set_result(time.perf_counter())


@asynccontextmanager
async def echo_topic(facts: Mapping[str, Any]) -> AsyncIterator[EchoTopic]:
    """Create the topic on the system's broker, and consume it in the background."""
    bootstrap = facts["kafka_bootstrap"]
    await _create_topic(bootstrap)
    async with (
        AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", enable_idempotence=True
        ) as producer,
        AIOKafkaConsumer(
            TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
        ) as consumer,
    ):
        topic = EchoTopic(producer)
        async with asyncio.TaskGroup() as group:
            consuming = group.create_task(topic.consume(consumer))
            try:
                yield topic
            finally:
                consuming.cancel()


async def _create_topic(bootstrap: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
