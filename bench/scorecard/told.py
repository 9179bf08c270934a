"""Contract events by the hundred thousand: made from one that is valid, and published in batches."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

from hoop_events.base import Event
from hoop_events.codec import body
from hoop_platform.ids import new_id
from local.testing.events import headers

from .plan import Broken

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it retries, and raises what stays wrong

AT_ONCE = 5000
HANDLED_LIMIT = 900.0  # seconds; a live model without a rebuild is slow
Record = tuple[str, str, bytes, list[tuple[str, bytes]]]
"""Topic, key, value, headers."""


class Mould:
    """Makes records like that of one event, with other states: some microseconds each."""

    def __init__(self, event: Event) -> None:
        self._kind = type(event)
        self._body: dict[str, Any] = event.model_dump(mode="json", by_alias=True)
        self._headers = dict(headers(event))
        assert orjson.dumps(self._body, option=orjson.OPT_SORT_KEYS) == body(event)

    def record(self, **state: object) -> Record:
        """The event with these fields of its state (as JSON names them) changed."""
        said = {**self._body, "state": {**self._body["state"], **state}}
        mine = {
            "ce_id": new_id().encode(),
            "ce_subject": said["state"]["id"].encode(),
            "ce_partitionkey": said["state"]["id"].encode(),
            "ce_sequence": f"{said['state']['sequence']:020}".encode(),
        }
        value = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        headers = list({**self._headers, **mine}.items())
        return self._kind.topic, said["state"]["id"], value, headers


def record(event: Event) -> Record:
    """One event as it stands."""
    return Mould(event).record()


def producer(bootstrap: str) -> AIOKafkaProducer:
    """One that gathers what is sent within five milliseconds."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", linger_ms=5, max_batch_size=1 << 18
    )


async def send(to: AIOKafkaProducer, one: Record) -> None:
    """Send one record; it is on its topic when this returns."""
    topic, key, value, headers = one
    await to.send_and_wait(topic, key=key.encode(), value=value, headers=headers)


async def publish(bootstrap: str, records: Iterable[Record]) -> dict[str, int]:
    """Send them in order, as the relay would; answers how many went to each topic."""
    counts: dict[str, int] = {}
    async with producer(bootstrap) as to:
        sent = []
        for topic, key, value, headers in records:
            sent.append(await to.send(topic, key=key.encode(), value=value, headers=headers))
            counts[topic] = counts.get(topic, 0) + 1
            if len(sent) == AT_ONCE:
                await asyncio.gather(*sent)
                sent = []
        await asyncio.gather(*sent)
    return counts


async def handled(dsn: str, counts: dict[str, int]) -> None:
    """Wait until the service that keeps its places there has handled so many records of each topic."""
    database = await asyncpg.connect(dsn, timeout=10)
    deadline = time.monotonic() + HANDLED_LIMIT
    try:
        while (done := await _done(database, list(counts))) < sum(counts.values()):
            if time.monotonic() > deadline:
                raise Broken(f"only {done} of {counts} were handled in {HANDLED_LIMIT:.0f} s")
            await asyncio.sleep(0.05)
    finally:
        await database.close(timeout=5)


async def _done(database: asyncpg.Connection, topics: list[str]) -> int:
    found: int = await database.fetchval(
        "SELECT coalesce(sum(next_offset), 0)::bigint FROM consumer_offset WHERE topic = ANY ($1)",
        topics,
    )
    return found
