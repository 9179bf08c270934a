"""Detects Kafka clients that are connected and fetch nothing: known faults after a broker restart."""

import asyncio

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

STALL_SECONDS = 30.0


class ConsumerStalled(KafkaError):
    """The broker has records and the client fetches none: only a new client helps."""


class StallDetector:
    """Compares a client's position with the end of its partitions, repeatedly."""

    def __init__(self) -> None:
        self._behind: dict[TopicPartition, tuple[int, float]] = {}

    def check(self, partition: TopicPartition, *, at: int, end: int, paused: bool = False) -> None:
        """Raise `ConsumerStalled` when the position has been behind the end and unchanged for long.

        A paused partition does not count.
        """
        now = asyncio.get_running_loop().time()
        before, since = self._behind.get(partition, (-1, now))
        if paused or at >= end:
            self._behind.pop(partition, None)
        elif at != before:
            self._behind[partition] = (at, now)
        elif now - since > STALL_SECONDS:
            raise ConsumerStalled(f"{partition} brings nothing beyond {at}")
