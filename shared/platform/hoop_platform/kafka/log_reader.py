"""Reading whole topics, from their beginning to places that the caller names, without a group."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer

from hoop_platform.kafka import clients
from hoop_platform.kafka.batch import Record

PartitionKey = tuple[str, int]
"""(topic, partition)."""

ANSWER_SECONDS = 30.0


class LogReader:
    """One reader of some topics. `places` say what comes next of each partition."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._partitions = {(p.topic, p.partition): p for p in consumer.assignment()}
        self.places: dict[PartitionKey, int] = {}

    async def begin(self) -> None:
        """Find where the topics begin."""
        async with asyncio.timeout(ANSWER_SECONDS):
            found = await self._consumer.beginning_offsets(list(self._partitions.values()))
        self.places = {(p.topic, p.partition): offset for p, offset in found.items()}

    async def ends(self) -> dict[PartitionKey, int]:
        """Where the topics end now."""
        async with asyncio.timeout(ANSWER_SECONDS):
            found = await self._consumer.end_offsets(list(self._partitions.values()))
        return {(p.topic, p.partition): offset for p, offset in found.items()}

    async def until(
        self, ends: Mapping[PartitionKey, int]
    ) -> AsyncIterator[tuple[str, Sequence[Record]]]:
        """Records of one partition at a time, in its order, until everything before `ends` was given.

        Not one further record of a partition that has reached its end: it comes with the next call.
        """
        left = {place for place, end in ends.items() if self.places[place] < end}
        while left:
            self._rest(left)
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._consumer.getmany(
                    *(self._partitions[place] for place in left), timeout_ms=1000
                )
            for partition, records in found.items():
                place = (partition.topic, partition.partition)
                taken = await self._take(place, records, ends[place])
                if taken:
                    yield partition.topic, taken
            left = {place for place in left if await self._before(place, ends[place])}

    def _rest(self, left: set[PartitionKey]) -> None:
        """Fetch nothing of what is read already."""
        paused = self._consumer.paused()
        for place, partition in self._partitions.items():
            if place in left and partition in paused:
                self._consumer.resume(partition)
            elif place not in left and partition not in paused:
                self._consumer.pause(partition)

    async def _take(self, place: PartitionKey, records: list[Record], end: int) -> Sequence[Record]:
        """Those before the end; the others will be fetched again."""
        if records[-1].offset >= end:
            records = [record for record in records if record.offset < end]
            self._consumer.seek(self._partitions[place], end)
        self.places[place] = records[-1].offset + 1 if records else end
        return records

    async def _before(self, place: PartitionKey, end: int) -> bool:
        """Whether something is still to come; what compaction left out does not."""
        if self.places[place] < end:
            async with asyncio.timeout(ANSWER_SECONDS):
                at = int(await self._consumer.position(self._partitions[place]))
            self.places[place] = max(self.places[place], min(at, end))
        return self.places[place] < end


@asynccontextmanager
async def open_log_reader(bootstrap: str, topics: Sequence[str]) -> AsyncIterator[LogReader]:
    """A reader of these topics, at their beginning."""
    consumer = clients.reader(bootstrap)
    consumer.subscribe(topics)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await consumer.start()
        found = LogReader(consumer)
        await found.begin()
        yield found
    finally:
        await clients.dispose(consumer)
