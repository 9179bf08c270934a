"""A consumer group: one poll loop, a runner for each partition, places kept in Postgres."""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from shared import gate, telemetry
from shared.db import UNAVAILABLE, Database
from shared.kafka.batch import Batches, Record, Subscriptions
from shared.outbox import pause
from shared.telemetry import log

QUEUED_BATCHES = 2
STUCK_SECONDS = 30.0
INTERRUPTED: tuple[type[Exception], ...] = (KafkaError, *UNAVAILABLE)


class Stuck(KafkaError):
    """The broker has records for us and the client brings none: only a new client helps."""


class PlaceLost(KafkaError):
    """The topic is shorter than what was consumed of it: it was lost or made anew.

    Going on in silence would skip events; whoever restored the topic decides (rebuild, or reset).
    """


class _Runner:
    """Handles the batches of one partition, one after the other."""

    def __init__(self, partition: TopicPartition, group: "Group") -> None:
        self.partition = partition
        self.queue: asyncio.Queue[Sequence[Record] | None] = asyncio.Queue()
        self._group = group
        self._revoked = False
        self.ended = asyncio.Event()

    @property
    def full(self) -> bool:
        return self.queue.qsize() >= QUEUED_BATCHES

    async def run(self) -> None:
        try:
            while not self._revoked and (records := await self.queue.get()) is not None:
                if self._revoked:
                    return
                await self._group.batches.handle(records)
                self._group.progressed(self, records[-1].offset + 1)
        finally:
            self.ended.set()

    async def revoke(self) -> None:
        """Finish the batch at hand and no other."""
        self._revoked = True
        self.queue.put_nowait(None)
        await self.ended.wait()


class Group:
    """The group `service`: reads the topics it subscribed to, until told to stop.

    Kafka's offsets are committed for those who watch the lag; where to go on is what Postgres says.
    """

    def __init__(
        self, service: str, database: Database, subscriptions: Subscriptions, *, bootstrap: str
    ) -> None:
        self.batches = Batches(database, subscriptions)
        self._service = service
        self._database = database
        self._topics = subscriptions.topics
        self._bootstrap = bootstrap
        self._runners: dict[TopicPartition, _Runner] = {}
        self._commits: dict[TopicPartition, int] = {}
        self._begun: dict[TopicPartition, int] = {}
        self._behind_since: dict[TopicPartition, float] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self.joined = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume; a lost broker or database is waited for, with a new client each time."""
        while not stop.is_set():
            try:
                await self._consume(stop)
            except* INTERRUPTED as errors:
                log.warning("consumer interrupted", error=repr(errors.exceptions[0]))
            await pause(stop, 0.5)

    async def _consume(self, stop: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._service,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=262_144,
            max_poll_records=500,
            fetch_max_wait_ms=250,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=300_000,
            retry_backoff_ms=50,
            metadata_max_age_ms=30_000,
        )
        async with asyncio.TaskGroup() as tasks:
            consumer.subscribe(self._topics, listener=_Listener(self, consumer, tasks))
            try:
                async with asyncio.timeout(30):
                    await consumer.start()
                self._consumer = consumer
                await self._poll(consumer, stop)
            finally:
                self._consumer = None
                await self.revoke_all()
                await self._leave(consumer)

    async def _poll(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        watched_at = 0.0
        while not stop.is_set():
            for partition, records in (await consumer.getmany(timeout_ms=100)).items():
                await self._enqueue(consumer, partition, records)
            self._resume(consumer)
            await self._commit(consumer)
            now = asyncio.get_running_loop().time()
            if now - watched_at > 1.0:
                watched_at = now
                await self._watch(consumer, now)

    async def _enqueue(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, records: list[Record]
    ) -> None:
        runner = self._runners.get(partition)
        if runner is None:  # revoked meanwhile: its new owner will read them again
            return
        runner.queue.put_nowait(records)
        if runner.full:
            consumer.pause(partition)

    def _resume(self, consumer: AIOKafkaConsumer) -> None:
        for partition in consumer.paused():
            runner = self._runners.get(partition)
            if runner is None or not runner.full:
                consumer.resume(partition)

    def progressed(self, runner: _Runner, next_offset: int) -> None:
        """A runner has finished a batch."""
        self._commits[runner.partition] = next_offset

    async def _commit(self, consumer: AIOKafkaConsumer) -> None:
        """Tell Kafka how far we are. Only for the eyes of operators: a failure costs nothing."""
        if not self._commits:
            return
        offsets, self._commits = self._commits, {}
        offsets = {p: o for p, o in offsets.items() if p in consumer.assignment()}
        try:
            if offsets:
                await asyncio.wait_for(consumer.commit(offsets), 5)
        except (CommitFailedError, IllegalStateError, TimeoutError) as error:
            log.info("offsets not committed", error=repr(error))

    async def _watch(self, consumer: AIOKafkaConsumer, now: float) -> None:
        """Measure the lag; a client that brings nothing although there is something is replaced."""
        assigned = list(consumer.assignment())
        if not assigned:
            return
        ends = await asyncio.wait_for(consumer.end_offsets(assigned), 10)
        for partition, end in ends.items():
            if end < self._begun.get(partition, 0):
                raise PlaceLost(f"{partition} ends at {end}, before the place kept in Postgres")
            position = await self._position(consumer, partition)
            runner = self._runners.get(partition)
            busy = runner is not None and not runner.queue.empty()
            self._judge(partition, behind=end > position and not busy, now=now)
            lag = telemetry.lag.labels(self._service, partition.topic, str(partition.partition))
            lag.set(end - position)

    async def _position(self, consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
        try:
            return int(await asyncio.wait_for(consumer.position(partition), 5))
        except IllegalStateError:
            return 0  # revoked between two lines

    def _judge(self, partition: TopicPartition, *, behind: bool, now: float) -> None:
        if not behind:
            self._behind_since.pop(partition, None)
        elif now - self._behind_since.setdefault(partition, now) > STUCK_SECONDS:
            self._behind_since.clear()
            raise Stuck(str(partition))

    async def catch_up(self, timeout: float = 0.5) -> bool:
        """Wait until what was announced before this call is in the database, whoever handles it."""
        consumer = self._consumer
        if consumer is None:
            return False
        try:
            async with asyncio.timeout(timeout):
                found = [consumer.partitions_for_topic(topic) or () for topic in self._topics]
                partitions = [
                    TopicPartition(topic, number)
                    for topic, numbers in zip(self._topics, found, strict=True)
                    for number in numbers
                ]
                ends = await consumer.end_offsets(partitions)
                while not await self._passed(ends):  # noqa: ASYNC110 -- another replica may be the one to move
                    await asyncio.sleep(0.01)
        except INTERRUPTED:
            return False
        return True

    async def _passed(self, ends: Mapping[TopicPartition, int]) -> bool:
        places = await gate.places(self._database, self._topics)
        return all(places.get((p.topic, p.partition), 0) >= end for p, end in ends.items())

    async def assign(
        self,
        consumer: AIOKafkaConsumer,
        partitions: Collection[TopicPartition],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Begin where Postgres says, or at the very beginning; a runner for each partition."""
        places = await self._places()
        new = [p for p in partitions if (p.topic, p.partition) not in places]
        begins = await consumer.beginning_offsets(new) if new else {}
        for partition in partitions:
            place = places.get((partition.topic, partition.partition), begins.get(partition, 0))
            consumer.seek(partition, place)
            self._begun[partition] = place
            runner = self._runners[partition] = _Runner(partition, self)
            tasks.create_task(runner.run())
        self.joined.set()

    async def _places(self) -> dict[tuple[str, int], int]:
        while True:
            try:
                return await gate.places(self._database, self._topics)
            except UNAVAILABLE as error:
                log.warning("postgres unavailable, waiting", error=repr(error))
                await asyncio.sleep(0.5)

    async def revoke_all(self) -> None:
        """Let every runner finish what it has in hand."""
        runners, self._runners = list(self._runners.values()), {}
        for runner in runners:
            await runner.revoke()

    async def _leave(self, consumer: AIOKafkaConsumer) -> None:
        try:
            await asyncio.wait_for(consumer.stop(), 5)
        except (TimeoutError, KafkaError) as error:
            log.warning("consumer abandoned", error=repr(error))


class _Listener(ConsumerRebalanceListener):
    def __init__(self, group: Group, consumer: AIOKafkaConsumer, tasks: asyncio.TaskGroup) -> None:
        self._group, self._consumer, self._tasks = group, consumer, tasks

    async def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        await self._group.revoke_all()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        await self._group.assign(self._consumer, assigned, self._tasks)
