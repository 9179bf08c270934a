"""A consumer group: one poll loop, a runner for each partition, places kept in Postgres."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.db.database import UNAVAILABLE, Database
from hoop_platform.kafka import clients, inbox
from hoop_platform.kafka.assignment import Assignment
from hoop_platform.kafka.batch import BatchHandler, Subscriptions
from hoop_platform.kafka.partition_worker import OffsetOutOfRange
from hoop_platform.kafka.stall_detector import StallDetector
from hoop_platform.telemetry import cause, log
from hoop_platform.timing import Interval, pause

START_SECONDS = 30.0
LOST_SECONDS = 15.0
COMMIT_SECONDS = 0.2
WATCH_SECONDS = 1.0
INTERRUPTED: tuple[type[Exception], ...] = (KafkaError, *UNAVAILABLE)


class ConsumerGroup:
    """The group `service`: reads the topics it subscribed to, until told to stop.

    Kafka's offsets are committed for those who watch the lag; where to go on is what Postgres says.
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
        self._deaf = StallDetector()
        self._consumer: AIOKafkaConsumer | None = None
        self.joined = asyncio.Event()
        """Set once it has its part of the partitions, which may be none, and knows where to go on.

        A broker that goes away later leaves it set: who is asked over HTTP can still answer.
        """

    async def run(self, stop: asyncio.Event) -> None:
        """Consume; a lost broker or database is waited for, with a new client each time."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except OffsetOutOfRange as error:
                self.joined.clear()
                log.error("place lost, a person must decide", error=str(error))
                await pause(stop, LOST_SECONDS)
            except INTERRUPTED as error:
                log.warning("consumer interrupted", error=cause(error))
                await pause(stop, 0.5)

    async def _consume(self, stop: asyncio.Event) -> None:
        consumer = clients.consumer(self._bootstrap, group=self._service)
        member = Assignment(consumer, self._database, self.batches)
        consumer.subscribe(self._topics, listener=member)
        self._committed, self._deaf = {}, StallDetector()
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
                await member.joined.wait()
            self._consumer = consumer
            await self._poll(consumer, member, stop)
        finally:
            self._consumer = None
            await member.leave()
            await clients.dispose(consumer)

    async def _poll(
        self, consumer: AIOKafkaConsumer, member: Assignment, stop: asyncio.Event
    ) -> None:
        commit = Interval(COMMIT_SECONDS)
        watch = Interval(WATCH_SECONDS)
        while not stop.is_set():
            member.check()
            for partition, records in (await consumer.getmany(timeout_ms=100)).items():
                await member.take(partition, records)
            member.hold_back()
            if member.settled:
                self.joined.set()
            if commit.due():
                await self._commit(consumer, member)
            if watch.due():
                await self._watch(consumer, member)
        await member.drain()
        await self._commit(consumer, member)

    async def _commit(self, consumer: AIOKafkaConsumer, member: Assignment) -> None:
        """Tell Kafka how far we are. Only for the eyes of operators: a failure costs nothing."""
        places = {p: r.place for p, r in member.runners.items() if r.place is not None}
        news = {p: place for p, place in places.items() if self._committed.get(p) != place}
        if not news:
            return
        try:
            async with asyncio.timeout(5):
                await consumer.commit(news)
        except (CommitFailedError, IllegalStateError, TimeoutError) as error:
            log.info("offsets not committed", error=cause(error))
        else:
            self._committed |= news

    async def _watch(self, consumer: AIOKafkaConsumer, member: Assignment) -> None:
        """Measure the lag; a client that brings nothing although there is something is replaced."""
        async with asyncio.timeout(5):
            ends = await consumer.end_offsets(list(member.runners))
        for partition, end in ends.items():
            runner = member.runners.get(partition)
            if runner is None or runner.place is None:
                continue
            if end < runner.place:
                raise OffsetOutOfRange(f"{partition} ends at {end}, we are at {runner.place}")
            self._deaf.look(partition, at=runner.expected, end=end, resting=runner.full)
            lag = telemetry.lag.labels(self._service, partition.topic, str(partition.partition))
            lag.set(end - runner.place)

    async def catch_up(self, timeout: float = 0.5) -> bool:
        """Wait until what was announced before this call is in the database, whoever handles it."""
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
        places = await inbox.list_offsets(self._database, self._topics)
        return all(places.get((p.topic, p.partition), 0) >= end for p, end in ends.items())
