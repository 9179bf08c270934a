"""Waiting until a system owes nothing: idle as IdleWatch means it, no lag on any topic, no effect missing."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.report.findings import Broken
from bench.systems.idle_watch import IdleWatch
from bench.systems.provider_effects import Effects, count_effects

LIMIT = 60.0  # seconds
Offsets = Mapping[tuple[str, int], int]


def lag(ends: Offsets, consumed: Mapping[str, Offsets]) -> int:
    """Count the records that a service has not consumed, of the topics of which it has consumed any."""
    missing = 0
    for offsets in consumed.values():
        topics = {topic for topic, _ in offsets}
        for at, end in ends.items():
            if at[0] in topics:
                missing += max(end - offsets.get(at, 0), 0)
    return missing


@dataclass(frozen=True)
class SettledWatch:
    """Looks at databases, topics and providers of a system, in which nobody else books."""

    facts: Mapping[str, Any]
    watch: IdleWatch
    broker: AIOKafkaConsumer
    http: ClientSession
    before: Effects
    """Those that were there when this watch was opened."""

    async def wait(self, *, bookings: int) -> None:
        """Return once nothing is owed of so many bookings since the watch was opened, twice in a row."""
        expected = Effects.expected(bookings)
        deadline, settled = time.monotonic() + LIMIT, 0
        while settled < 2:
            await self.watch.wait_until_idle()
            behind = await self._lag()
            effects = (await count_effects(self.http, self.facts)).since(self.before)
            settled = settled + 1 if not behind and effects == expected else 0
            if time.monotonic() > deadline:
                raise Broken(
                    f"not settled within {LIMIT:.0f} s: {behind} records not consumed,"
                    f" {effects} instead of {expected}"
                )

    async def _lag(self) -> int:
        consumed = await self.watch.offsets()
        topics = {topic for offsets in consumed.values() for topic, _ in offsets}
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in self.broker.partitions_for_topic(topic) or ()
        ]
        ends = await self.broker.end_offsets(partitions)
        return lag({(at.topic, at.partition): end for at, end in ends.items()}, consumed)


@asynccontextmanager
async def settled_watch(facts: Mapping[str, Any]) -> AsyncIterator[SettledWatch]:
    """Look at the system of this stack.json."""
    async with AsyncExitStack() as opened:
        watch = await IdleWatch.open(facts)
        opened.push_async_callback(watch.close)
        http = await opened.enter_async_context(ClientSession())
        broker = AIOKafkaConsumer(bootstrap_servers=facts["kafka_bootstrap"])
        await broker.start()
        opened.push_async_callback(broker.stop)
        await broker.topics()
        before = await count_effects(http, facts)
        yield SettledWatch(facts, watch, broker, http, before)
