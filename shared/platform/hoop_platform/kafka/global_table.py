"""Global tables: small compacted topics that every replica keeps in memory, without a group."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from hoop_events.accounts import (
    Account,
    AccountChanged,
    ApiKey,
    ApiKeyChanged,
    ApiKeyDeleted,
    Location,
    LocationChanged,
    LocationDeleted,
)
from hoop_events.base import Event, Gone, State
from hoop_events.codec import decode, envelope
from hoop_platform.kafka import clients
from hoop_platform.kafka.batch import Record
from hoop_platform.kafka.stall_detector import StallDetector
from hoop_platform.telemetry import cause, log
from hoop_platform.timing import Interval, pause_after

S = TypeVar("S", bound=State)

START_SECONDS = 30.0
WATCH_SECONDS = 1.0
INTERRUPTED: tuple[type[Exception], ...] = (KafkaError, OSError, TimeoutError)


class GlobalTable(Generic[S]):
    """One topic as a mapping from id to `(account id, state)`."""

    def __init__(self, *types: type[Event]) -> None:
        self.types = types
        self.topic = types[0].topic
        self._known: Mapping[str, type[Event]] = {event.type: event for event in types}
        self._rows: dict[str, tuple[str, S]] = {}
        self._newest: dict[str, int] = {}
        self._seen: set[str] = set()

    def get(self, subject: str) -> tuple[str, S] | None:
        """The owning account's id and the state; None for an unknown or deleted id."""
        return self._rows.get(subject)

    def of(self, account_id: str, subject: str) -> S | None:
        """The state, if the aggregate belongs to this account."""
        found = self._rows.get(subject)
        return found[1] if found and found[0] == account_id else None

    def all_of(self, account_id: str) -> Sequence[S]:
        """All states of one account."""
        return [state for owner, state in self._rows.values() if owner == account_id]

    def apply(self, record: Record) -> None:
        """Apply one record, unless a newer one of its aggregate was applied. No record ends the table."""
        if record.value is None:
            self._rows.pop((record.key or b"").decode("utf-8", "replace"), None)
            return
        try:
            event = decode(envelope(record.headers), record.value, self._known)
        except Exception as error:  # noqa: BLE001 -- else it would end every service at each start
            log.error(
                "record ignored", topic=record.topic, offset=record.offset, error=cause(error)
            )
            return
        self._seen.add(event.subject)
        if event.sequence > self._newest.get(event.subject, 0):
            self._newest[event.subject] = event.sequence
            self._store(event)

    def _store(self, event: Event) -> None:
        if isinstance(event.state, Gone):
            self._rows.pop(event.subject, None)
        else:
            self._rows[event.subject] = (event.account_id, event.state)  # type: ignore[assignment] # the types of this table carry S

    def restart(self) -> None:
        """Prepare for reading the topic from its beginning again."""
        self._seen = set()

    def delete_unseen(self) -> None:
        """Delete rows that are no longer on the topic: deleted while this replica was disconnected."""
        for subject in self._rows.keys() - self._seen:
            del self._rows[subject]


class GlobalTables:
    """The global tables of every service with HTTP: accounts, locations, API keys."""

    def __init__(self, bootstrap: str) -> None:
        self.accounts: GlobalTable[Account] = GlobalTable(AccountChanged)
        self.locations: GlobalTable[Location] = GlobalTable(LocationChanged, LocationDeleted)
        self.keys: GlobalTable[ApiKey] = GlobalTable(ApiKeyChanged, ApiKeyDeleted)
        self._by_topic: Mapping[
            str, GlobalTable[Account] | GlobalTable[Location] | GlobalTable[ApiKey]
        ] = {t.topic: t for t in (self.accounts, self.locations, self.keys)}
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None
        self._applied = asyncio.Condition()
        self._request_lock = asyncio.Lock()
        self._requested_at = float("-inf")
        self._ends: Mapping[TopicPartition, int] = {}
        self.ready = asyncio.Event()
        """Set once everything published before the start is applied; stays set without a broker."""

    @property
    def topics(self) -> tuple[str, ...]:
        return tuple(self._by_topic)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the topics from their beginning until `stop`."""
        while not stop.is_set():
            try:
                await self._follow(stop)
            except Exception as error:  # noqa: BLE001 -- a new client reads the topics again
                await pause_after(
                    error, stop, event="global tables interrupted", expected=INTERRUPTED
                )

    async def _follow(self, stop: asyncio.Event) -> None:
        consumer = clients.consumer(self._bootstrap, group=None)
        consumer.subscribe(self.topics)
        try:
            async with asyncio.timeout(START_SECONDS):
                await consumer.start()
            for table in self._by_topic.values():
                table.restart()
            self._consumer = consumer
            await self._read(consumer, stop)
        finally:
            self._consumer = None
            await clients.dispose(consumer)

    async def _read(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        beginning = await self._end_offsets(consumer)
        check, stalls, caught_up = Interval(WATCH_SECONDS), StallDetector(), False
        while not stop.is_set():
            await self._take(await consumer.getmany(timeout_ms=100))
            if not caught_up and await _reached(consumer, beginning):
                caught_up = True
                for table in self._by_topic.values():
                    table.delete_unseen()
                self.ready.set()
            if check.due():
                for partition, end in (await self._end_offsets(consumer)).items():
                    stalls.check(partition, at=await _at(consumer, partition), end=end)

    async def _end_offsets(self, consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, int]:
        async with asyncio.timeout(5):
            ends: Mapping[TopicPartition, int] = await consumer.end_offsets(
                list(consumer.assignment())
            )
        return ends

    async def _take(self, found: Mapping[TopicPartition, list[Record]]) -> None:
        for partition, records in found.items():
            for record in records:
                self._by_topic[partition.topic].apply(record)
        async with self._applied:
            self._applied.notify_all()

    async def catch_up(self, timeout: float = 0.5) -> bool:
        """Wait until everything published before this call is applied; False if that takes longer.

        So a client may use at once what it has just created through another service.
        """
        try:
            async with asyncio.timeout(timeout):
                if (consumer := self._consumer) is None:
                    return False
                ends = await self._fresh_ends(consumer)
                async with self._applied:
                    while not await _reached(consumer, ends):
                        await self._applied.wait()
        except (TimeoutError, KafkaError):
            return False
        return True

    async def _fresh_ends(self, consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, int]:
        """The end offsets, not older than this call; concurrent callers share one request to Kafka."""
        loop = asyncio.get_running_loop()
        arrived_at = loop.time()
        async with self._request_lock:
            if self._requested_at < arrived_at:
                requested_at = loop.time()
                self._ends = await self._end_offsets(consumer)
                self._requested_at = requested_at
            return self._ends


async def _reached(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    return all([await _at(consumer, p) >= end for p, end in ends.items()])


async def _at(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int:
    async with asyncio.timeout(5):
        return int(await consumer.position(partition))
