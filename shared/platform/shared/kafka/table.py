"""Tables: small compacted topics that every replica keeps in memory, whole, without a group."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from hoop_events import (
    Account,
    AccountChanged,
    ApiKey,
    ApiKeyChanged,
    ApiKeyDeleted,
    Event,
    Gone,
    Location,
    LocationChanged,
    LocationDeleted,
    State,
    Undecodable,
    UnknownType,
    decode,
    envelope,
)
from shared.kafka.batch import Record
from shared.telemetry import log
from shared.waiting import pause

S = TypeVar("S", bound=State)


class Table(Generic[S]):
    """One topic as a mapping from id to `(account id, state)`."""

    def __init__(self, *types: type[Event]) -> None:
        self.types = types
        self.topic = types[0].topic
        self._rows: dict[str, tuple[str, S]] = {}
        self._newest: dict[str, int] = {}

    def get(self, subject: str) -> tuple[str, S] | None:
        """The account that owns it, and its state; None when it is unknown or deleted."""
        return self._rows.get(subject)

    def of(self, account_id: str, subject: str) -> S | None:
        """Its state, if it belongs to this account."""
        found = self._rows.get(subject)
        return found[1] if found and found[0] == account_id else None

    def all_of(self, account_id: str) -> Sequence[S]:
        """Everything of one account."""
        return [state for owner, state in self._rows.values() if owner == account_id]

    def apply(self, record: Record) -> None:
        """Take one record in, unless a newer one of its aggregate is known."""
        if record.value is None:
            self._rows.pop((record.key or b"").decode("utf-8", "replace"), None)
            return
        try:
            event = decode(envelope(record.headers), record.value, self.types)
        except (Undecodable, UnknownType) as error:
            log.error("record ignored", topic=record.topic, offset=record.offset, error=repr(error))
            return
        if event.sequence > self._newest.get(event.subject, 0):
            self._newest[event.subject] = event.sequence
            self._store(event)

    def _store(self, event: Event) -> None:
        if isinstance(event.state, Gone):
            self._rows.pop(event.subject, None)
        else:
            self._rows[event.subject] = (event.account_id, event.state)  # type: ignore[assignment] # the types of this table carry S


class Tables:
    """What every service with HTTP knows by heart: accounts, locations, API keys."""

    def __init__(self, bootstrap: str) -> None:
        self.accounts: Table[Account] = Table(AccountChanged)
        self.locations: Table[Location] = Table(LocationChanged, LocationDeleted)
        self.keys: Table[ApiKey] = Table(ApiKeyChanged, ApiKeyDeleted)
        self._by_topic: Mapping[str, Table[Account] | Table[Location] | Table[ApiKey]] = {
            t.topic: t for t in (self.accounts, self.locations, self.keys)
        }
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: list[TopicPartition] = []
        self._moved = asyncio.Condition()
        self.ready = asyncio.Event()

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(self._by_topic)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the topics from their beginning until told to stop."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("tables interrupted", error=repr(error))
            await pause(stop, 0.5)

    async def _follow(self, stop: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=250,
            retry_backoff_ms=50,
        )
        try:
            async with asyncio.timeout(30):
                await consumer.start()
                await self._assign(consumer)
                ends = await consumer.end_offsets(self._partitions)
            while not stop.is_set():
                await self._take(await consumer.getmany(timeout_ms=100))
                if not self.ready.is_set() and await self._reached(ends):
                    self.ready.set()
        finally:
            self._consumer = None
            await asyncio.wait_for(consumer.stop(), 5)

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        self._partitions = []
        for topic in self._by_topic:
            while not (numbers := consumer.partitions_for_topic(topic)):
                await consumer._client.force_metadata_update()  # noqa: SLF001 -- there is no public way
                consumer._client.add_topic(topic)  # noqa: SLF001 -- as above
                await asyncio.sleep(0.05)
            self._partitions += [TopicPartition(topic, number) for number in numbers]
        consumer.assign(self._partitions)
        await consumer.seek_to_beginning(*self._partitions)
        self._consumer = consumer

    async def _take(self, found: Mapping[TopicPartition, list[Record]]) -> None:
        for partition, records in found.items():
            for record in records:
                self._by_topic[partition.topic].apply(record)
        async with self._moved:
            self._moved.notify_all()

    async def _reached(self, ends: Mapping[TopicPartition, int]) -> bool:
        consumer = self._consumer
        if consumer is None:
            return False
        return all([await consumer.position(p) >= end for p, end in ends.items()])

    async def catch_up(self, timeout: float = 0.5) -> bool:
        """Wait until everything announced before this call is known; False when that takes longer.

        So a client may use at once what it has just created elsewhere.
        """
        try:
            async with asyncio.timeout(timeout):
                if (consumer := self._consumer) is None:
                    return False
                ends = await consumer.end_offsets(self._partitions)
                async with self._moved:
                    while not await self._reached(ends):
                        await self._moved.wait()
        except (TimeoutError, KafkaError):
            return False
        return True
