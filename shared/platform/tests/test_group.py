"""Consumer groups: each event handled once and in order, whoever joins, leaves, hangs or is cut off."""

import asyncio
from datetime import datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from noted import (
    Listener,
    Noted,
    flood,
    going,
    group,
    headers,
    heard,
    note,
    subject_on,
)

from hoop_events.codec import body
from hoop_platform import timing
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from hoop_platform.kafka import assignment, clients, partition_worker, stall_detector
from hoop_platform.kafka import group as groups
from hoop_platform.kafka.batch import Subscriptions
from hoop_platform.kafka.group import ConsumerGroup
from local.servers.ports import free_ports
from local.testing.events import publish
from local.testing.polling import eventually

Type = type[Noted]


async def all_heard(database: Database, subjects: list[str], upto: int) -> bool:
    found = await database.fetchval(
        "SELECT count(*) FROM heard WHERE subject = ANY($1) AND sequence = $2", subjects, upto
    )
    return bool(found >= len(subjects))


async def test_duplicates_and_latecomers_are_dropped(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    subject = new_id()
    events = [note(noted, subject, n) for n in (1, 2, 2, 1, 3, 1, 3)]
    async with going(group(database, kafka_bootstrap, noted)):
        await publish(kafka_bootstrap, *events, note(noted, subject, 4))
        await eventually(lambda: all_heard(database, [subject], 4), within=20)
    assert await heard(database, subject) == [1, 2, 3, 4]


async def test_members_come_and_go_and_each_event_is_handled_once(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """A second member joins and leaves while events arrive, a third begins where the first ended."""
    subjects, name = [new_id() for _ in range(20)], f"test-{new_id()}"

    def one() -> ConsumerGroup:
        return group(database, kafka_bootstrap, noted, name=name)

    async def tell(sequence: int) -> None:
        await publish(kafka_bootstrap, *(note(noted, s, sequence) for s in subjects))

    async with going(one()):
        await tell(1)
        async with going(one()):
            await tell(2)
        await tell(3)
    async with going(one()):
        await tell(4)
        await eventually(lambda: all_heard(database, subjects, 4), within=20)
    for subject in subjects:
        assert await heard(database, subject) == [1, 2, 3, 4]


async def test_two_members_share_the_partitions(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    subjects, name = [new_id() for _ in range(30)], f"test-{new_id()}"
    listeners = [Listener(), Listener()]
    members = [group(database, kafka_bootstrap, noted, each, name=name) for each in listeners]
    async with going(*members):
        await eventually(lambda: _both_have_some(members), within=30)
        await publish(kafka_bootstrap, *(note(noted, s, 1) for s in subjects))
        await eventually(lambda: all_heard(database, subjects, 1), within=20)
    assert all(listener.tries for listener in listeners)
    assert sum(listener.tries for listener in listeners) == len(subjects)


async def _both_have_some(members: list[ConsumerGroup]) -> bool:
    return all(each._consumer is not None and each._consumer.assignment() for each in members)


async def test_two_owners_of_one_partition_apply_each_event_once(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """Two groups on one database are two owners of everything: a member that was replaced and does
    not know it could not do worse. The offset, locked in Postgres, lets only one of them apply."""
    subjects = [new_id() for _ in range(10)]
    owners = [group(database, kafka_bootstrap, noted) for _ in range(2)]
    async with going(*owners):
        for sequence in range(1, 21):
            await publish(kafka_bootstrap, *(note(noted, s, sequence) for s in subjects))
        await eventually(lambda: all_heard(database, subjects, 20), within=30)
    for subject in subjects:
        assert await heard(database, subject) == [*range(1, 21)]


async def test_a_member_frozen_in_its_batch_applies_nothing_when_it_wakes(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """Postgres ended its transaction meanwhile and another member handled the batch."""
    subject, frozen, thaw = new_id(), asyncio.Event(), asyncio.Event()
    listener = Listener()

    async def freeze(db: Tx, event: Noted, now: datetime) -> None:
        await listener.hear(db, event, now)
        if not thaw.is_set():
            frozen.set()
            await thaw.wait()

    sleeper = ConsumerGroup(
        f"test-{new_id()}",
        database,
        Subscriptions({noted: freeze}),
        bootstrap=kafka_bootstrap,
        clock=Clock(),
    )
    async with going(sleeper):
        await publish(kafka_bootstrap, note(noted, subject, 1))
        await asyncio.wait_for(frozen.wait(), 20)
        async with going(group(database, kafka_bootstrap, noted)):
            await asyncio.sleep(0.3)
            assert await heard(database, subject) == []
            await database.execute(_CUT)
            await eventually(lambda: all_heard(database, [subject], 1), within=20)
        thaw.set()
        await publish(kafka_bootstrap, note(noted, subject, 2))
        await eventually(lambda: all_heard(database, [subject], 2), within=20)
    assert await heard(database, subject) == [1, 2]


async def test_an_error_that_no_outage_explains_delays_and_ends_nothing(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a while a table is missing, as if a release were half installed; then all is handled."""
    monkeypatch.setattr(timing, "UNEXPECTED_PAUSE_SECONDS", 0.1)
    subject = new_id()
    await database.execute("ALTER TABLE consumer_offset RENAME TO consumer_offset_of_old")
    member = group(database, kafka_bootstrap, noted)
    async with going(member):
        await publish(kafka_bootstrap, note(noted, subject, 1))
        await eventually(lambda: _has_consumer(member), within=20)
        await asyncio.sleep(0.5)
        await database.execute("ALTER TABLE consumer_offset_of_old RENAME TO consumer_offset")
        await eventually(lambda: all_heard(database, [subject], 1), within=20)
    assert await heard(database, subject) == [1]


async def _has_consumer(member: ConsumerGroup) -> bool:
    return member._consumer is not None


_CUT = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND state = 'idle in transaction'
"""


async def test_what_a_topic_lost_is_not_skipped_in_silence(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records beyond our offset were deleted: the group stops and says so, until an operator decides."""
    monkeypatch.setattr(groups, "LOST_SECONDS", 0.2)
    subject, name = new_id(), f"test-{new_id()}"
    async with going(group(database, kafka_bootstrap, noted, name=name)):
        await publish(kafka_bootstrap, note(noted, subject, 1))
        await eventually(lambda: all_heard(database, [subject], 1), within=20)
    await publish(kafka_bootstrap, note(noted, subject, 2), note(noted, subject, 3))
    stored = await database.fetchrow("SELECT * FROM consumer_offset WHERE next_offset > 0")
    assert stored is not None
    await _cut_before(kafka_bootstrap, TopicPartition(noted.topic, stored["partition"]), 2)
    again = group(database, kafka_bootstrap, noted, name=name)
    async with going(again):
        await asyncio.sleep(2)
        assert not again.joined.is_set()
        assert await heard(database, subject) == [1]
        await database.execute("DELETE FROM consumer_offset")
        await eventually(lambda: all_heard(database, [subject], 3), within=20)
    assert await heard(database, subject) == [1, 3]


async def _cut_before(bootstrap: str, partition: TopicPartition, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_records({partition: RecordsToDelete(before_offset=offset)})
    await admin.close()


async def test_a_topic_created_anew_is_noticed(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shorter than what was consumed of it: going on from our offset would skip events."""
    monkeypatch.setattr(groups, "LOST_SECONDS", 0.2)
    monkeypatch.setattr(clients, "METADATA_SECONDS", 1)
    subject, one = new_id(), group(database, kafka_bootstrap, noted)
    async with going(one):
        await publish(kafka_bootstrap, *(note(noted, subject, n) for n in (1, 2, 3)))
        await eventually(lambda: all_heard(database, [subject], 3), within=20)
        assert one.joined.is_set()
        await _make_anew(kafka_bootstrap, noted.topic)
        await eventually(lambda: _not_joined(one), within=20)
        await database.execute("DELETE FROM consumer_offset")
        await publish(kafka_bootstrap, *(note(noted, subject, n) for n in (3, 4)))
        await eventually(lambda: all_heard(database, [subject], 4), within=20)
    assert await heard(database, subject) == [1, 2, 3, 4]


async def _make_anew(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.delete_topics([topic])
    await eventually(lambda: _is_gone(admin, topic))
    await admin.create_topics([NewTopic(topic, 3, 1)])
    await admin.close()


async def _is_gone(admin: AIOKafkaAdminClient, topic: str) -> bool:
    return topic not in await admin.list_topics()


async def _not_joined(one: ConsumerGroup) -> bool:
    return not one.joined.is_set()


async def test_holes_in_a_topic_are_no_loss(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """Compaction leaves holes; here the end marks of transactions do."""
    subject = new_id()
    name = f"test-{new_id()}"
    async with going(group(database, kafka_bootstrap, noted, name=name)):
        for sequence in (1, 2, 3):
            await _in_a_transaction(kafka_bootstrap, note(noted, subject, sequence))
            await eventually(lambda n=sequence: all_heard(database, [subject], n), within=20)
    assert await heard(database, subject) == [1, 2, 3]


async def _in_a_transaction(bootstrap: str, event: Noted) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=new_id())
    async with producer, producer.transaction():
        await producer.send_and_wait(
            event.topic, key=event.subject.encode(), value=body(event), headers=headers(event)
        )


async def test_a_client_that_brings_nothing_is_replaced(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A known fault of clients after a broker restarted: alive, assigned, and deaf."""
    monkeypatch.setattr(stall_detector, "STALL_SECONDS", 1.0)
    monkeypatch.setattr(groups, "WATCH_SECONDS", 0.2)
    subject, one = new_id(), group(database, kafka_bootstrap, noted)
    async with going(one):
        await asyncio.wait_for(one.joined.wait(), 20)
        deaf = one._consumer
        assert deaf is not None
        monkeypatch.setattr(deaf, "getmany", _nothing)
        await asyncio.sleep(0.3)  # what is being fetched still comes
        await publish(kafka_bootstrap, note(noted, subject, 1))
        await eventually(lambda: all_heard(database, [subject], 1), within=20)
        assert one._consumer is not deaf


async def _nothing(*, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
    await asyncio.sleep(timeout_ms / 1000)
    return {}


async def test_a_slow_handler_holds_back_its_partition_alone(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost by the pausing, and the other partitions go on."""
    monkeypatch.setattr(partition_worker, "FULL", 20)
    monkeypatch.setattr(partition_worker, "BATCH", 10)
    slow, quick, listener = subject_on(0), subject_on(1), Listener()

    async def hear(db: Tx, event: Noted, now: datetime) -> None:
        if event.subject == slow:
            await asyncio.sleep(0.001)
        await listener.hear(db, event, now)

    subscriptions = Subscriptions({noted: hear})
    one = ConsumerGroup(
        f"test-{new_id()}", database, subscriptions, bootstrap=kafka_bootstrap, clock=Clock()
    )
    await flood(kafka_bootstrap, [note(noted, slow, n) for n in range(1, 601)])
    async with going(one):
        await asyncio.wait_for(one.joined.wait(), 20)
        await publish(kafka_bootstrap, note(noted, quick, 1))
        await eventually(lambda: all_heard(database, [quick], 1))
        assert not await all_heard(database, [slow], 600)
        await eventually(lambda: all_heard(database, [slow], 600), within=30)
    assert await heard(database, slow) == [*range(1, 601)]


async def test_a_handler_that_hangs_does_not_keep_the_process_from_stopping(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its batch is rolled back after a grace, and comes again to whoever is next."""
    monkeypatch.setattr(assignment, "GRACE_SECONDS", 0.5)
    subject, hanging = new_id(), asyncio.Event()
    listener, name = Listener(), f"test-{new_id()}"

    async def hang(db: Tx, event: Noted, now: datetime) -> None:
        await listener.hear(db, event, now)
        hanging.set()
        await asyncio.sleep(3600)

    subscriptions = Subscriptions({noted: hang})
    async with going(
        ConsumerGroup(name, database, subscriptions, bootstrap=kafka_bootstrap, clock=Clock())
    ):
        await publish(kafka_bootstrap, note(noted, subject, 1))
        await asyncio.wait_for(hanging.wait(), 20)
        stopping_at = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping_at < 5
    assert await heard(database, subject) == []
    async with going(group(database, kafka_bootstrap, noted, name=name)):
        await eventually(lambda: all_heard(database, [subject], 1), within=20)


async def test_without_a_broker_it_waits_and_can_be_stopped(
    database: Database, noted: Type
) -> None:
    one = group(database, f"127.0.0.1:{free_ports(1)[0]}", noted)
    async with going(one):
        await asyncio.sleep(1)
        assert not one.joined.is_set()
        assert not await one.catch_up()
        stopping_at = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - stopping_at < 2


async def test_catching_up_waits_for_what_was_said_before(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """True: it is in the database. False: that took longer than the caller would wait."""
    subject, slow, listener = new_id(), 0.2, Listener()

    async def hear(db: Tx, event: Noted, now: datetime) -> None:
        await asyncio.sleep(slow)
        await listener.hear(db, event, now)

    subscriptions = Subscriptions({noted: hear})
    one = ConsumerGroup(
        f"test-{new_id()}", database, subscriptions, bootstrap=kafka_bootstrap, clock=Clock()
    )
    async with going(one):
        await asyncio.wait_for(one.joined.wait(), 20)
        for sequence in range(1, 4):
            await publish(kafka_bootstrap, note(noted, subject, sequence))
            assert await one.catch_up(timeout=5)
            assert await all_heard(database, [subject], sequence)
        slow = 2.0
        await publish(kafka_bootstrap, note(noted, subject, 4))
        assert not await one.catch_up(timeout=0.3)


async def test_offsets_are_committed_to_kafka(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """For those who watch the lag from outside: after a stop, all that was handled is committed."""
    subject, name = subject_on(2), f"test-{new_id()}"
    async with going(group(database, kafka_bootstrap, noted, name=name)):
        await publish(kafka_bootstrap, *(note(noted, subject, n) for n in range(1, 8)))
        await eventually(lambda: all_heard(database, [subject], 7), within=20)
    watching = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, group_id=name)
    async with watching:
        assert await watching.committed(TopicPartition(noted.topic, 2)) == 7
