"""Contract events by the hundred thousand: copies of a valid one, published in batches."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

from bench.report.findings import Broken
from hoop_events.base import Event
from hoop_events.codec import body
from hoop_platform.ids import new_id
from local.testing.events import headers

logging.getLogger("aiokafka").setLevel(
    logging.CRITICAL
)  # it retries, and raises errors that persist

AT_ONCE = 5000
CONSUMED_LIMIT = 900.0  # seconds; consuming live is slower than a rebuild
Record = tuple[str, str, bytes, list[tuple[str, bytes]]]
"""Topic, key, value, headers."""


class RecordTemplate:
    """Returns records like that of one event with other states, in some microseconds each."""

    def __init__(self, event: Event) -> None:
        self._kind = type(event)
        self._body: dict[str, Any] = event.model_dump(mode="json", by_alias=True)
        self._headers = dict(headers(event))
        assert orjson.dumps(self._body, option=orjson.OPT_SORT_KEYS) == body(event)

    def record(self, **state: object) -> Record:
        """Return the event's record with these fields of its state (by their JSON names) changed."""
        changed = {**self._body, "state": {**self._body["state"], **state}}
        own_headers = {
            "ce_id": new_id().encode(),
            "ce_subject": changed["state"]["id"].encode(),
            "ce_partitionkey": changed["state"]["id"].encode(),
            "ce_sequence": f"{changed['state']['sequence']:020}".encode(),
        }
        value = orjson.dumps(changed, option=orjson.OPT_SORT_KEYS)
        headers = list({**self._headers, **own_headers}.items())
        return self._kind.topic, changed["state"]["id"], value, headers


def record(event: Event) -> Record:
    """Return the record of an event."""
    return RecordTemplate(event).record()


def producer(bootstrap: str) -> AIOKafkaProducer:
    """Return a producer that batches the records of five milliseconds."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=5, max_batch_size=1 << 18
    )


async def send(to: AIOKafkaProducer, one: Record) -> None:
    """Send one record; return when the broker has acknowledged it."""
    topic, key, value, headers = one
    await to.send_and_wait(topic, key=key.encode(), value=value, headers=headers)


async def publish(bootstrap: str, records: Iterable[Record]) -> dict[str, int]:
    """Send the records in order; return how many went to each topic."""
    counts: dict[str, int] = {}
    async with producer(bootstrap) as sender:
        sent = []
        for topic, key, value, headers in records:
            sent.append(await sender.send(topic, key=key.encode(), value=value, headers=headers))
            counts[topic] = counts.get(topic, 0) + 1
            if len(sent) == AT_ONCE:
                await asyncio.gather(*sent)
                sent = []
        await asyncio.gather(*sent)
    return counts


async def wait_until_consumed(dsn: str, counts: dict[str, int]) -> None:
    """Wait until the service with this database has consumed so many records of these topics in all."""
    database = await asyncpg.connect(dsn, timeout=10)
    deadline = time.monotonic() + CONSUMED_LIMIT
    try:
        while (done := await _consumed(database, list(counts))) < sum(counts.values()):
            if time.monotonic() > deadline:
                raise Broken(f"only {done} of {counts} were consumed in {CONSUMED_LIMIT:.0f} s")
            await asyncio.sleep(0.05)
    finally:
        await database.close(timeout=5)


async def _consumed(database: asyncpg.Connection, topics: list[str]) -> int:
    count: int = await database.fetchval(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offset WHERE topic = ANY ($1)",
        topics,
    )
    return count
