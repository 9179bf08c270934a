"""The partitions assigned to this member of a consumer group, with a worker for each."""

import asyncio
from collections.abc import Collection, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from hoop_platform.db.database import Database
from hoop_platform.kafka.batch import BatchHandler, Record
from hoop_platform.kafka.partition_worker import PartitionWorker
from hoop_platform.telemetry import cause, log

GRACE_SECONDS = 5.0
"""How long the current batch may take to end when its partition is revoked."""


class Assignment(ConsumerRebalanceListener):
    """Follows rebalances. aiokafka swallows what its callbacks raise, so these raise nothing."""

    def __init__(
        self, consumer: AIOKafkaConsumer, database: Database, batches: BatchHandler
    ) -> None:
        self.workers: dict[TopicPartition, PartitionWorker] = {}
        self.joined = asyncio.Event()
        self._tasks: dict[TopicPartition, asyncio.Task[None]] = {}
        self._consumer = consumer
        self._database = database
        self._batches = batches
        self._assigned = self._leaving = False

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Start a worker for each; the partitions are paused until their workers know the offset."""
        if self._leaving:
            return
        loop = asyncio.get_running_loop()
        for partition in assigned:
            self._consumer.pause(partition)
            worker = PartitionWorker(partition, self._consumer, self._database, self._batches)
            self.workers[partition] = worker
            self._tasks[partition] = loop.create_task(worker.run())  # `check` sees it fail
        self._assigned = True
        self.joined.set()

    async def on_partitions_revoked(self, _: Iterable[TopicPartition]) -> None:
        """Finish the current batches before other members get the partitions."""
        await self.end()

    async def leave(self) -> None:
        """End for good: a rebalance in progress starts no worker any more."""
        self._leaving = True
        await self.end()

    async def end(self) -> None:
        """End all workers."""
        await self.drain()
        self._assigned, self._tasks, self.workers = False, {}, {}

    async def drain(self) -> None:
        """Let each worker finish its batch; one that takes too long is cancelled, and rolled back."""
        for worker in self.workers.values():
            worker.end()
        tasks = list(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and (error := task.exception()):
                log.warning("partition worker ended", error=cause(error))

    @property
    def settled(self) -> bool:
        """Whether partitions were assigned (maybe none) and every worker knows its offset."""
        return self._assigned and all(
            worker.next_offset is not None for worker in self.workers.values()
        )

    def check(self) -> None:
        """Raise the exception that ended a worker."""
        for task in self._tasks.values():
            if task.done():
                task.result()

    async def take(self, partition: TopicPartition, records: list[Record]) -> None:
        """Give records to their worker; without one, the partition's new owner reads them again."""
        worker = self.workers.get(partition)
        if worker is not None and worker.next_offset is not None:
            await worker.take(records)

    def apply_backpressure(self) -> None:
        """Pause the partitions of workers whose buffers are full, and resume the others."""
        assigned, paused = self._consumer.assignment(), self._consumer.paused()
        for partition, worker in self.workers.items():
            if partition not in assigned:
                continue
            if worker.full and partition not in paused:
                self._consumer.pause(partition)
            elif partition in paused and not worker.full:
                self._consumer.resume(partition)
