"""Waiting until a system owes nothing: idle as IdleWatch means it, no lag on any topic, mails accepted."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.report.findings import Broken
from bench.systems.idle_watch import IdleWatch

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
    """Looks at databases, topics and the mailbox of a system."""

    watch: IdleWatch
    broker: AIOKafkaConsumer
    http: ClientSession
    mailbox: str

    async def mails(self) -> int:
        """Count the mails that the mail server has accepted."""
        address = f"{self.mailbox}/_sim/log?verb=DATA"
        async with self.http.get(address) as response:
            entries = await response.json()
        return sum(str(one["reply"]).startswith("250") for one in entries)

    async def wait(self, *, mails: int) -> None:
        """Return once nothing is owed and so many mails are accepted, twice in a row."""
        deadline, settled = time.monotonic() + LIMIT, 0
        while settled < 2:
            await self.watch.wait_until_idle()
            behind, accepted = await self._lag(), await self.mails()
            settled = settled + 1 if not behind and accepted >= mails else 0
            if accepted > mails:
                raise Broken(f"{accepted} mails were accepted instead of {mails}")
            if time.monotonic() > deadline:
                raise Broken(
                    f"not settled within {LIMIT:.0f} s: {behind} records not consumed,"
                    f" {accepted} of {mails} mails accepted"
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
async def settled_watch(facts: Mapping[str, object]) -> AsyncIterator[SettledWatch]:
    """Look at the system of this stack.json."""
    async with AsyncExitStack() as opened:
        watch = await IdleWatch.open(facts)
        opened.push_async_callback(watch.close)
        http = await opened.enter_async_context(ClientSession())
        broker = AIOKafkaConsumer(bootstrap_servers=facts["kafka_bootstrap"])
        await broker.start()
        opened.push_async_callback(broker.stop)
        await broker.topics()
        mail = facts["mail"]
        assert isinstance(mail, dict)
        yield SettledWatch(watch, broker, http, mail["inbox_url"])
