"""A watch on clients that are alive, connected and deaf: known faults after a broker was restarted."""

import asyncio

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

STUCK_SECONDS = 30.0


class ConsumerStalled(KafkaError):
    """The broker has records for us and the client brings none: only a new client helps."""


class StallDetector:
    """Compares where a client is with where the topics end, again and again."""

    def __init__(self) -> None:
        self._behind: dict[TopicPartition, tuple[int, float]] = {}

    def look(self, partition: TopicPartition, *, at: int, end: int, resting: bool = False) -> None:
        """Raise `Stuck` when there has been more for long and the client has not moved.

        A client that was told to rest is not to blame.
        """
        now = asyncio.get_running_loop().time()
        before, since = self._behind.get(partition, (-1, now))
        if resting or at >= end:
            self._behind.pop(partition, None)
        elif at != before:
            self._behind[partition] = (at, now)
        elif now - since > STUCK_SECONDS:
            raise ConsumerStalled(f"{partition} brings nothing beyond {at}")
