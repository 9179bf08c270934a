"""Handles the records of one assigned partition in order, a batch at a time."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from hoop_platform.db.database import UNAVAILABLE, Database
from hoop_platform.kafka import inbox
from hoop_platform.kafka.batch import BatchHandler, Record
from hoop_platform.telemetry import cause, log

BATCH = 500
FULL = 2 * BATCH
"""Most records that are buffered (and one fetch more); then the partition is paused."""


class OffsetOutOfRange(KafkaError):
    """The topic does not hold the next offset: it was truncated, or lost and created anew.

    Going on would skip events. The operator who restored the topic decides; after
    `DELETE FROM consumer_offset WHERE topic = …` the topic is read from its beginning, and no event
    is applied twice.
    """


class PartitionWorker:
    """Starts at the offset stored in Postgres; the partition is paused until that has been read."""

    def __init__(
        self,
        partition: TopicPartition,
        consumer: AIOKafkaConsumer,
        database: Database,
        batches: BatchHandler,
    ) -> None:
        self.partition = partition
        self.next_offset: int | None = None
        """The next offset to handle; None until it is known."""
        self.expected = 0
        """The next offset to be fetched from Kafka."""
        self._consumer = consumer
        self._database = database
        self._batches = batches
        self._buffer: list[Record] = []
        self._arrived = asyncio.Event()
        self._ending = False

    @property
    def full(self) -> bool:
        """Whether nothing more may be fetched: the buffer is full, or the offset is not known yet."""
        return self.next_offset is None or len(self._buffer) >= FULL

    async def run(self) -> None:
        """Handle batches until `end`. Raises `OffsetOutOfRange`, and `KafkaError` without a broker."""
        self.next_offset = self.expected = await self._start_offset()
        try:
            self._consumer.seek(self.partition, self.next_offset)
        except IllegalStateError:  # taken away meanwhile
            return
        while records := await self._next():
            await self._batches.handle(records)
            self.next_offset = records[-1].offset + 1

    async def _start_offset(self) -> int:
        """The offset stored in Postgres, if the topic still has it; else the topic's beginning."""
        stored, begin = await self._stored(), await self._beginning()
        end = (await self._consumer.end_offsets([self.partition]))[self.partition]
        if stored is not None and not begin <= stored <= end:
            raise OffsetOutOfRange(f"{self.partition} has {begin} to {end}, we are at {stored}")
        return begin if stored is None else stored

    async def _beginning(self) -> int:
        return int((await self._consumer.beginning_offsets([self.partition]))[self.partition])

    async def _stored(self) -> int | None:
        key = (self.partition.topic, self.partition.partition)
        while True:
            try:
                offsets = await inbox.get_offsets(self._database, [key])
            except UNAVAILABLE as error:
                log.warning("postgres unavailable, waiting", error=cause(error))
                await asyncio.sleep(0.5)
            else:
                return offsets.get(key)

    async def take(self, records: Sequence[Record]) -> None:
        """Buffer records. A gap in front of them is either compaction or a loss."""
        first = records[0].offset
        truncated = first > self.expected and await self._beginning() > self.expected
        if truncated or first < self.expected:
            raise OffsetOutOfRange(
                f"{self.partition} goes on at {first}, we are at {self.expected}"
            )
        self._buffer += records
        self.expected = records[-1].offset + 1
        self._arrived.set()

    async def _next(self) -> Sequence[Record]:
        """Buffered records, up to a batch; none when the worker is to end."""
        while not self._buffer and not self._ending:
            self._arrived.clear()
            await self._arrived.wait()
        if self._ending:
            return ()
        records, self._buffer = self._buffer[:BATCH], self._buffer[BATCH:]
        return records

    def end(self) -> None:
        """Finish the current batch and no other."""
        self._ending = True
        self._arrived.set()
