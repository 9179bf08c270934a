"""Tables: what every replica knows by heart, from compacted topics, without a group and without a database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from noted import going, record

from hoop_events.accounts import Account, AccountChanged, ApiKey, ApiKeyChanged, ApiKeyDeleted
from hoop_events.base import Event, Gone
from hoop_platform import timing
from hoop_platform.ids import new_id
from hoop_platform.kafka import global_table, stall_detector
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.kafka.topics import ensure_topics
from local.servers.ports import free_ports
from local.testing.events import publish
from local.testing.polling import eventually


@pytest.fixture
async def topics(kafka_bootstrap: str) -> None:
    await ensure_topics(kafka_bootstrap)


@pytest.fixture
async def tables(kafka_bootstrap: str, topics: None) -> AsyncIterator[GlobalTables]:
    found = GlobalTables(kafka_bootstrap)
    async with going(found):
        await asyncio.wait_for(found.ready.wait(), 20)
        yield found


def account(subject: str, sequence: int = 1, name: str = "Ada") -> AccountChanged:
    return AccountChanged(
        account_id=subject, state=Account(id=subject, sequence=sequence, name=name)
    )


def key(account_id: str, subject: str, sequence: int = 1, **other: Any) -> ApiKeyChanged:
    state = ApiKey(id=subject, sequence=sequence, **{"digest": "", "scopes": (), **other})
    return ApiKeyChanged(account_id=account_id, state=state)


def gone(account_id: str, subject: str, sequence: int) -> ApiKeyDeleted:
    return ApiKeyDeleted(account_id=account_id, state=Gone(id=subject, sequence=sequence))


async def test_what_was_announced_before_the_start_is_known_when_ready(
    kafka_bootstrap: str, topics: None
) -> None:
    subjects = [new_id() for _ in range(20)]
    await publish(kafka_bootstrap, *(account(s) for s in subjects))
    tables = GlobalTables(kafka_bootstrap)
    assert not tables.ready.is_set()
    async with going(tables):
        await asyncio.wait_for(tables.ready.wait(), 20)
        assert all(tables.accounts.get(s) for s in subjects)


async def test_what_was_just_announced_is_known_after_catching_up(
    tables: GlobalTables, kafka_bootstrap: str
) -> None:
    """A client may use at once what it has just created elsewhere."""
    for _ in range(5):
        subject = new_id()
        await publish(kafka_bootstrap, account(subject))
        assert await tables.catch_up(timeout=5)
        assert tables.accounts.of(subject, subject)


async def test_many_who_catch_up_together_ask_kafka_a_few_times(
    tables: GlobalTables, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests with invented keys must not become as many requests to the broker."""
    asked = 0
    ask = tables._end_offsets

    async def count(consumer: Any) -> Any:
        nonlocal asked
        asked += 1
        return await ask(consumer)

    monkeypatch.setattr(tables, "_end_offsets", count)
    assert all(await asyncio.gather(*(tables.catch_up(timeout=5) for _ in range(200))))
    assert asked <= 3


async def test_only_what_is_newer_counts(tables: GlobalTables, kafka_bootstrap: str) -> None:
    owner, subject = new_id(), new_id()
    events: list[Event] = [key(owner, subject, n, label=str(n)) for n in (1, 3, 2, 3)]
    await publish(kafka_bootstrap, *events)
    assert await tables.catch_up(timeout=5)
    found = tables.keys.get(subject)
    assert found is not None
    assert found[1].sequence == 3


async def test_a_deleted_key_is_gone_at_once(tables: GlobalTables, kafka_bootstrap: str) -> None:
    """Also when its tombstone, or an older state of it, comes afterwards."""
    owner, deleted, forgotten = new_id(), new_id(), new_id()
    await publish(
        kafka_bootstrap, key(owner, deleted, 1), gone(owner, deleted, 2), key(owner, deleted, 1)
    )
    await publish(kafka_bootstrap, key(owner, forgotten, 1))
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        await producer.send_and_wait("api-keys", key=forgotten.encode(), value=None)
    assert await tables.catch_up(timeout=5)
    assert tables.keys.get(deleted) is None
    assert tables.keys.get(forgotten) is None


async def test_of_another_account_is_not_there() -> None:
    tables, owner, subject = GlobalTables("127.0.0.1:1"), new_id(), new_id()
    tables.keys.apply(record(key(owner, subject), 0))
    assert tables.keys.of(owner, subject)
    assert tables.keys.of(new_id(), subject) is None
    assert [found.id for found in tables.keys.all_of(owner)] == [subject]
    assert tables.keys.all_of(new_id()) == []


async def test_what_is_no_event_changes_nothing() -> None:
    tables, subject = GlobalTables("127.0.0.1:1"), new_id()
    tables.accounts.apply(record(account(subject), 0))
    endless = [("ce_sequence", b"9" * 5000)]  # Python refuses to read so long a number
    for wrong in (
        {"value": b"{"},
        {"headers": ()},
        {"headers": [*record(account(subject, 2), 1).headers, *endless]},
        {"key": None, "value": None},
    ):
        tables.accounts.apply(record(account(subject, 2), 1, **wrong))
    found = tables.accounts.get(subject)
    assert found is not None
    assert found[1].sequence == 1


async def test_what_left_the_topic_while_nobody_listened_is_forgotten(
    kafka_bootstrap: str, topics: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction may have removed the very news of a deletion: the topic is read again, whole."""
    monkeypatch.setattr(global_table, "WATCH_SECONDS", 0.05)
    tables, subject, ghost = GlobalTables(kafka_bootstrap), new_id(), new_id()
    tables.accounts.apply(record(account(ghost), 0))
    await publish(kafka_bootstrap, account(subject))
    async with going(tables):
        await asyncio.wait_for(tables.ready.wait(), 20)
        assert tables.accounts.get(subject)
        assert tables.accounts.get(ghost) is None


async def test_a_client_that_brings_nothing_is_replaced(
    tables: GlobalTables, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that stands still in silence would honour keys that were revoked."""
    monkeypatch.setattr(stall_detector, "STALL_SECONDS", 0.5)
    deaf = tables._consumer
    assert deaf is not None

    async def nothing(*, timeout_ms: int) -> dict[Any, Any]:
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    monkeypatch.setattr(deaf, "getmany", nothing)
    await asyncio.sleep(0.3)  # what is being fetched still comes
    subject = new_id()
    await publish(kafka_bootstrap, account(subject))
    assert not await tables.catch_up(timeout=0.2)
    await eventually(lambda: _knows(tables, subject), within=20)


async def _knows(tables: GlobalTables, subject: str) -> bool:
    return tables.accounts.get(subject) is not None


async def test_an_error_that_no_outage_explains_begins_the_tables_anew(
    tables: GlobalTables, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the client library: another client reads on, and the service goes on."""
    monkeypatch.setattr(timing, "UNEXPECTED_PAUSE_SECONDS", 0.1)
    broken, subject = tables._consumer, new_id()
    assert broken is not None

    async def fail(*, timeout_ms: int) -> dict[Any, Any]:
        raise AssertionError("a fault of the client library")

    monkeypatch.setattr(broken, "getmany", fail)
    await eventually(lambda: _has_another_client(tables, broken), within=20)
    await publish(kafka_bootstrap, account(subject))
    await eventually(lambda: _knows(tables, subject), within=20)


async def _has_another_client(tables: GlobalTables, broken: AIOKafkaConsumer) -> bool:
    return tables._consumer not in (None, broken)


async def test_without_a_broker_they_wait_and_can_be_stopped() -> None:
    tables = GlobalTables(f"127.0.0.1:{free_ports(1)[0]}")
    async with going(tables):
        await asyncio.sleep(0.7)
        assert not tables.ready.is_set()
        assert not await tables.catch_up()
        stopping_at = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping_at < 2


async def test_topics_are_created_once(kafka_bootstrap: str, topics: None) -> None:
    assert await ensure_topics(kafka_bootstrap) == []
