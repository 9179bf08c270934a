"""Reads whole topics from their beginning up to given offsets, without a consumer group."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer

from hoop_platform.kafka import clients
from hoop_platform.kafka.batch import Record

PartitionKey = tuple[str, int]
"""(topic, partition)."""

RESPONSE_SECONDS = 30.0


class LogReader:
    """Reads some topics; `positions` are the next offsets of their partitions."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._partitions = {(p.topic, p.partition): p for p in consumer.assignment()}
        self.positions: dict[PartitionKey, int] = {}

    async def seek_to_beginning(self) -> None:
        """Set the positions to the beginning of the topics."""
        async with asyncio.timeout(RESPONSE_SECONDS):
            found = await self._consumer.beginning_offsets(list(self._partitions.values()))
        self.positions = {(p.topic, p.partition): offset for p, offset in found.items()}

    async def end_offsets(self) -> dict[PartitionKey, int]:
        """The end offsets of the topics now."""
        async with asyncio.timeout(RESPONSE_SECONDS):
            found = await self._consumer.end_offsets(list(self._partitions.values()))
        return {(p.topic, p.partition): offset for p, offset in found.items()}

    async def read_until(
        self, ends: Mapping[PartitionKey, int]
    ) -> AsyncIterator[tuple[str, Sequence[Record]]]:
        """Batches of records of one partition each, in order, up to the offsets `ends` (exclusive).

        Records at or after `ends` are fetched again by the next call.
        """
        left = {key for key, end in ends.items() if self.positions[key] < end}
        while left:
            self._pause_finished(left)
            async with asyncio.timeout(RESPONSE_SECONDS):
                found = await self._consumer.getmany(
                    *(self._partitions[key] for key in left), timeout_ms=1000
                )
            for partition, records in found.items():
                key = (partition.topic, partition.partition)
                taken = await self._take(key, records, ends[key])
                if taken:
                    yield partition.topic, taken
            left = {key for key in left if await self._is_before(key, ends[key])}

    def _pause_finished(self, left: set[PartitionKey]) -> None:
        """Pause the partitions that are read up to their end."""
        paused = self._consumer.paused()
        for key, partition in self._partitions.items():
            if key in left and partition in paused:
                self._consumer.resume(partition)
            elif key not in left and partition not in paused:
                self._consumer.pause(partition)

    async def _take(self, key: PartitionKey, records: list[Record], end: int) -> Sequence[Record]:
        """The records before the end; the others will be fetched again."""
        if records[-1].offset >= end:
            records = [record for record in records if record.offset < end]
            self._consumer.seek(self._partitions[key], end)
        self.positions[key] = records[-1].offset + 1 if records else end
        return records

    async def _is_before(self, key: PartitionKey, end: int) -> bool:
        """Whether records before the end are left; offsets removed by compaction do not count."""
        if self.positions[key] < end:
            async with asyncio.timeout(RESPONSE_SECONDS):
                at = int(await self._consumer.position(self._partitions[key]))
            self.positions[key] = max(self.positions[key], min(at, end))
        return self.positions[key] < end


@asynccontextmanager
async def open_log_reader(bootstrap: str, topics: Sequence[str]) -> AsyncIterator[LogReader]:
    """A reader of these topics, positioned at their beginning."""
    consumer = clients.reader(bootstrap)
    consumer.subscribe(topics)
    try:
        async with asyncio.timeout(RESPONSE_SECONDS):
            await consumer.start()
        found = LogReader(consumer)
        await found.seek_to_beginning()
        yield found
    finally:
        await clients.dispose(consumer)
