"""A runner: handles the records of one assigned partition in order, a batch at a time."""

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
"""So many records wait at most (and one fetch more); then the partition is paused."""


class OffsetOutOfRange(KafkaError):
    """The topic does not hold what comes next: it was cut, or lost and made anew.

    Going on in silence would skip events. Whoever restored the topic decides; with
    `DELETE FROM consumer_offset WHERE topic = …` it is read from its beginning, which doubles nothing.
    """


class PartitionWorker:
    """Where to go on is what Postgres says; so a partition is paused until that has been read."""

    def __init__(
        self,
        partition: TopicPartition,
        consumer: AIOKafkaConsumer,
        database: Database,
        batches: BatchHandler,
    ) -> None:
        self.partition = partition
        self.place: int | None = None
        """The offset to handle next; None until known."""
        self.expected = 0
        """The offset to come next from Kafka."""
        self._consumer = consumer
        self._database = database
        self._batches = batches
        self._waiting: list[Record] = []
        self._news = asyncio.Event()
        self._ending = False

    @property
    def full(self) -> bool:
        """Whether enough waits; before the place is known nothing may come at all."""
        return self.place is None or len(self._waiting) >= FULL

    async def run(self) -> None:
        """Until ended. Raises `PlaceLost`, and `KafkaError` when the broker cannot be asked."""
        self.place = self.expected = await self._begin()
        try:
            self._consumer.seek(self.partition, self.place)
        except IllegalStateError:  # taken away meanwhile
            return
        while records := await self._next():
            await self._batches.handle(records)
            self.place = records[-1].offset + 1

    async def _begin(self) -> int:
        """The place kept in Postgres, if the topic still has it; else the topic's beginning."""
        kept, begin = await self._kept(), await self._beginning()
        end = (await self._consumer.end_offsets([self.partition]))[self.partition]
        if kept is not None and not begin <= kept <= end:
            raise OffsetOutOfRange(f"{self.partition} has {begin} to {end}, we are at {kept}")
        return begin if kept is None else kept

    async def _beginning(self) -> int:
        return int((await self._consumer.beginning_offsets([self.partition]))[self.partition])

    async def _kept(self) -> int | None:
        while True:
            try:
                places = await inbox.list_offsets(self._database, [self.partition.topic])
            except UNAVAILABLE as error:
                log.warning("postgres unavailable, waiting", error=cause(error))
                await asyncio.sleep(0.5)
            else:
                return places.get((self.partition.topic, self.partition.partition))

    async def take(self, records: Sequence[Record]) -> None:
        """Put records in line. A hole in front of them is what compaction left, or a loss."""
        first = records[0].offset
        cut = first > self.expected and await self._beginning() > self.expected
        if cut or first < self.expected:
            raise OffsetOutOfRange(
                f"{self.partition} goes on at {first}, we are at {self.expected}"
            )
        self._waiting += records
        self.expected = records[-1].offset + 1
        self._news.set()

    async def _next(self) -> Sequence[Record]:
        """What waits, up to a batch; nothing when it is time to end."""
        while not self._waiting and not self._ending:
            self._news.clear()
            await self._news.wait()
        if self._ending:
            return ()
        records, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        return records

    def end(self) -> None:
        """Finish the batch at hand and no other."""
        self._ending = True
        self._news.set()
