"""A member of a consumer group: a runner for each partition it has, from one rebalance to the next."""

import asyncio
from collections.abc import Collection, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from hoop_platform.db.database import Database
from hoop_platform.kafka.batch import BatchHandler, Record
from hoop_platform.kafka.partition_worker import PartitionWorker
from hoop_platform.telemetry import cause, log

GRACE_SECONDS = 5.0
"""How long a batch at hand may take to end when its partition is taken away."""


class Assignment(ConsumerRebalanceListener):
    """Hears what the group decides. aiokafka swallows what these calls raise, so they raise nothing."""

    def __init__(
        self, consumer: AIOKafkaConsumer, database: Database, batches: BatchHandler
    ) -> None:
        self.runners: dict[TopicPartition, PartitionWorker] = {}
        self.joined = asyncio.Event()
        self._tasks: dict[TopicPartition, asyncio.Task[None]] = {}
        self._consumer = consumer
        self._database = database
        self._batches = batches
        self._assigned = self._leaving = False

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Begin with these. They are paused until their runner knows its place."""
        if self._leaving:
            return
        loop = asyncio.get_running_loop()
        for partition in assigned:
            self._consumer.pause(partition)
            runner = PartitionWorker(partition, self._consumer, self._database, self._batches)
            self.runners[partition] = runner
            self._tasks[partition] = loop.create_task(runner.run())  # `check` sees it fail
        self._assigned = True
        self.joined.set()

    async def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        """Let the others have them: what is at hand is finished first."""
        await self.end()

    async def leave(self) -> None:
        """End for good: a rebalance that is on its way begins nothing any more."""
        self._leaving = True
        await self.end()

    async def end(self) -> None:
        """End all runners and forget them."""
        await self.drain()
        self._assigned, self._tasks, self.runners = False, {}, {}

    async def drain(self) -> None:
        """Let each runner finish its batch. One that takes too long is rolled back and comes again."""
        for runner in self.runners.values():
            runner.end()
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()):
                log.warning("runner ended", error=cause(error))

    @property
    def settled(self) -> bool:
        """Whether it has its part of the partitions, and every runner its place."""
        return self._assigned and all(runner.place is not None for runner in self.runners.values())

    def check(self) -> None:
        """Raise what a runner died of."""
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def take(self, partition: TopicPartition, records: list[Record]) -> None:
        """Give records to their runner; without one, their new owner reads them again."""
        runner = self.runners.get(partition)
        if runner is not None and runner.place is not None:
            await runner.take(records)

    def hold_back(self) -> None:
        """Fetch no more for runners that have enough, and again for those that have not."""
        assigned, paused = self._consumer.assignment(), self._consumer.paused()
        for partition, runner in self.runners.items():
            if partition not in assigned:
                continue
            if runner.full and partition not in paused:
                self._consumer.pause(partition)
            elif partition in paused and not runner.full:
                self._consumer.resume(partition)
