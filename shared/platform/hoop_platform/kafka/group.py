"""A consumer group: one poll loop, a worker for each partition, offsets stored in Postgres."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.db.database import CONTENTION, UNAVAILABLE, Database
from hoop_platform.kafka import clients, inbox
from hoop_platform.kafka.assignment import Assignment
from hoop_platform.kafka.batch import BatchHandler, Subscriptions
from hoop_platform.kafka.partition_worker import OffsetOutOfRange
from hoop_platform.kafka.stall_detector import StallDetector
from hoop_platform.telemetry import cause, log
from hoop_platform.timing import Interval, pause, pause_after

START_SECONDS = 30.0
LOST_SECONDS = 15.0
COMMIT_SECONDS = 0.2
WATCH_SECONDS = 1.0
INTERRUPTED: tuple[type[Exception], ...] = (KafkaError, *UNAVAILABLE, *CONTENTION)


class ConsumerGroup:
    """The consumer group of a service; runs until stopped.

    It starts from the offsets in Postgres. Offsets are committed to Kafka only for tools that
    show the lag.
    """

    def __init__(
        self,
        service: str,
        database: Database,
        subscriptions: Subscriptions,
        *,
        bootstrap: str,
        clock: Clock,
    ) -> None:
        self.batches = BatchHandler(database, subscriptions, clock)
        self._service = service
        self._database = database
        self._topics = subscriptions.topics
        self._bootstrap = bootstrap
        self._committed: dict[TopicPartition, int] = {}
        self._stalls = StallDetector()
        self._consumer: AIOKafkaConsumer | None = None
        self._assignment: Assignment | None = None
        self.joined = asyncio.Event()
        """Set once its partitions (maybe none) are assigned and their offsets known.

        It stays set when the broker goes away later: HTTP requests can still be served.
        """

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop`; after a lost broker or database, with a new client each time."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except OffsetOutOfRange as error:
                self.joined.clear()
                log.error("offset out of range, an operator must decide", error=str(error))
                await pause(stop, LOST_SECONDS)
            except Exception as error:  # noqa: BLE001 -- a new client begins at the offsets in Postgres
                await pause_after(error, stop, event="consumer interrupted", expected=INTERRUPTED)

    async def _consume(self, stop: asyncio.Event) -> None:
        consumer = clients.consumer(self._bootstrap, group=self._service)
        assignment = Assignment(consumer, self._database, self.batches)
        consumer.subscribe(self._topics, listener=assignment)
        self._committed, self._stalls = {}, StallDetector()
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                await assignment.joined.wait()
            self._consumer = consumer
            self._assignment = assignment
            await self._poll(consumer, assignment, stop)
        finally:
            self._consumer = self._assignment = None
            await assignment.leave()
            await clients.dispose(consumer)

    async def _poll(
        self, consumer: AIOKafkaConsumer, assignment: Assignment, stop: asyncio.Event
    ) -> None:
        commit = Interval(COMMIT_SECONDS)
        watch = Interval(WATCH_SECONDS)
        while not stop.is_set():
            assignment.check()
            for partition, records in (await consumer.getmany(timeout_ms=100)).items():
                await assignment.take(partition, records)
            assignment.apply_backpressure()
            if assignment.settled:
                self.joined.set()
            if commit.due():
                await self._commit(consumer, assignment)
            if watch.due():
                await self._watch(consumer, assignment)
        await assignment.drain()
        await self._commit(consumer, assignment)

    async def _commit(self, consumer: AIOKafkaConsumer, assignment: Assignment) -> None:
        """Commit the offsets to Kafka, for operators only: a failure has no consequence."""
        offsets = {
            partition: worker.next_offset
            for partition, worker in assignment.workers.items()
            if worker.next_offset is not None
        }
        changed = {p: o for p, o in offsets.items() if self._committed.get(p) != o}
        if not changed:
            return
        try:
            async with asyncio.timeout(5):
                await consumer.commit(changed)
        except (CommitFailedError, IllegalStateError, TimeoutError) as error:
            log.info("offsets not committed", error=cause(error))
        else:
            self._committed |= changed

    async def _watch(self, consumer: AIOKafkaConsumer, assignment: Assignment) -> None:
        """Measure the lag; raise if the client fetches nothing although there are records."""
        async with asyncio.timeout(5):
            ends = await consumer.end_offsets(list(assignment.workers))
        for partition, end in ends.items():
            worker = assignment.workers.get(partition)
            if worker is None or worker.next_offset is None:
                continue
            if end < worker.next_offset:
                raise OffsetOutOfRange(f"{partition} ends at {end}, we are at {worker.next_offset}")
            self._stalls.check(partition, at=worker.expected, end=end, paused=worker.full)
            lag = telemetry.lag.labels(self._service, partition.topic, str(partition.partition))
            lag.set(end - worker.next_offset)

    async def catch_up(self, timeout: float = 0.5) -> bool:
        """Wait until everything published before this call is applied, by whichever replica.

        Returns False if that takes longer than `timeout` seconds.
        """
        consumer = self._consumer
        if consumer is None:
            return False
        try:
            async with asyncio.timeout(timeout):
                ends = await self._ends(consumer)
                while not await self._passed(ends):  # noqa: ASYNC110 -- another replica may be the one to move
                    await asyncio.sleep(0.01)
        except INTERRUPTED:
            return False
        return True

    async def _ends(self, consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, int]:
        partitions = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in consumer.partitions_for_topic(topic) or ()
        ]
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends

    async def _passed(self, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether all is applied up to these offsets; only partitions of other members are looked up."""
        workers = self._assignment.workers if self._assignment else {}
        if any((workers[p].next_offset or 0) < end for p, end in ends.items() if p in workers):
            return False
        others = {(p.topic, p.partition): e for p, e in ends.items() if e and p not in workers}
        if not others:
            return True
        offsets = await inbox.get_offsets(self._database, others)
        return all(offsets.get(key, 0) >= end for key, end in others.items())
