"""The outbox and its relay: what is committed reaches Kafka, in order, whatever dies between."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from noted import NOON, Noted, going, group, heard, note, noted_on, say

from hoop_platform import failpoints, timing
from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from hoop_platform.outbox import lease, relay
from hoop_platform.outbox.announce import announce
from hoop_platform.outbox.relay import Relay
from local.servers.ports import free_ports
from local.testing.polling import eventually

Type = type[Noted]


async def _empty(database: Database) -> bool:
    return bool(await database.fetchval("SELECT count(*) = 0 FROM outbox"))


async def _has(database: Database, subject: str, sequence: int) -> bool:
    return sequence in await heard(database, subject)


async def _leads(database: Database, one: Relay) -> bool:
    return bool(await database.fetchval("SELECT owner = $1 FROM relay_lease", one.lease.owner))


async def on_topic(bootstrap: str, noted: Type) -> list[tuple[str, int]]:
    """Subject and sequence of every record on the topic; those of one subject in their order."""
    partitions = [TopicPartition(noted.topic, number) for number in range(3)]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as kafka:
        kafka.assign(partitions)
        ends = await kafka.end_offsets(partitions)
        found: list[tuple[str, int]] = []
        while any([await kafka.position(p) < end for p, end in ends.items()]):
            for records in (await kafka.getmany(timeout_ms=200)).values():
                said = [(r.key.decode(), dict(r.headers)["ce_sequence"]) for r in records]
                found += [(key, int(sequence)) for key, sequence in said]
    return found


async def test_ten_writers_lose_nothing_and_keep_the_order(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """A thousand events of ten aggregates, each from its own transaction: each once, in its order."""
    subjects = [new_id() for _ in range(10)]

    async def write(subject: str) -> None:
        for sequence in range(1, 101):
            await say(database, note(noted, subject, sequence))

    async with going(Relay(database, bootstrap=kafka_bootstrap)):
        await asyncio.gather(*(write(subject) for subject in subjects))
        await eventually(lambda: _empty(database), within=20)
    found = await on_topic(kafka_bootstrap, noted)
    for subject in subjects:
        assert [n for of, n in found if of == subject] == [*range(1, 101)]


async def test_nothing_is_announced_without_its_transaction(
    database: Database, noted: Type
) -> None:
    async def change_my_mind() -> None:
        async with database.transaction() as db:
            await announce(db, note(noted, new_id(), 1), note(noted, new_id(), 1), now=NOON)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_my_mind()
    assert await _empty(database)


@pytest.mark.parametrize("point", ["relay_claimed", "relay_sent", "relay_acknowledged"])
async def test_a_relay_that_dies_anywhere_loses_and_doubles_nothing(
    database: Database, kafka_bootstrap: str, noted: Type, point: str
) -> None:
    """Its successor sends the rows again; consumers hear each event once."""
    subject = new_id()
    await say(database, *(note(noted, subject, n) for n in (1, 2, 3)))
    failpoints.arm(f"{point}=hang")
    relaying = Relay(database, bootstrap=kafka_bootstrap).run(asyncio.Event())
    async with asyncio.TaskGroup() as tasks:
        dying = tasks.create_task(relaying)
        await eventually(lambda: _is_at(point), within=20)
        dying.cancel()
    await database.execute("UPDATE relay_lease SET until = clock_timestamp()")
    successor = Relay(database, bootstrap=kafka_bootstrap)
    async with going(successor, group(database, kafka_bootstrap, noted)):
        await eventually(lambda: _has(database, subject, 3), within=20)
        await eventually(lambda: _empty(database))
    assert await heard(database, subject) == [1, 2, 3]


async def _is_at(point: str) -> bool:
    return point not in failpoints.armed()


async def test_a_leader_that_stops_hands_over_at_once(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """It sends what was committed before the stop, and its lease need not run out."""
    subject = new_id()
    first, second = (Relay(database, bootstrap=kafka_bootstrap) for _ in range(2))
    until_stopped = AsyncExitStack()
    await until_stopped.enter_async_context(going(first))
    await eventually(lambda: _leads(database, first), within=20)
    async with going(second):
        await say(database, *(note(noted, subject, n) for n in range(1, 700)))
        await until_stopped.aclose()
        assert await _empty(database)
        await eventually(lambda: _leads(database, second), within=2)
        await say(database, note(noted, subject, 700))
        await eventually(lambda: _empty(database), within=2)
    assert [n for _, n in await on_topic(kafka_bootstrap, noted)] == [*range(1, 701)]


async def test_a_leader_that_slept_too_long_deletes_nothing(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another leads by now and sends the row as well; the sleeper finds its lease gone and goes on."""
    monkeypatch.setattr(lease, "POLLING_LEASE_SECONDS", 0.3)
    asleep, morning, subject = asyncio.Event(), asyncio.Event(), new_id()

    async def sleep(point: str) -> None:
        if point == "relay_acknowledged" and not morning.is_set():
            asleep.set()
            await morning.wait()

    monkeypatch.setattr(relay, "fp", sleep)
    await say(database, note(noted, subject, 1))
    async with going(Relay(database, bootstrap=kafka_bootstrap)):
        await asyncio.wait_for(asleep.wait(), 20)
        await database.execute("UPDATE relay_lease SET owner = $1, epoch = epoch + 1", new_id())
        await database.execute("UPDATE relay_lease SET until = clock_timestamp() + '1 s'")
        morning.set()
        await asyncio.sleep(0.2)
        assert not await _empty(database)
        await eventually(lambda: _empty(database), within=20)
    assert [n for _, n in await on_topic(kafka_bootstrap, noted)] == [1, 1]


async def test_what_is_too_large_is_parked_with_what_follows_it(
    database: Database, kafka_bootstrap: str, noted: Type
) -> None:
    """Order within an aggregate matters more than progress; other aggregates go on."""
    huge, other = new_id(), new_id()
    too_large = note(noted, huge, 1, "x" * 1_100_000)
    await say(database, too_large, note(noted, huge, 2), note(noted, other, 1))
    async with going(Relay(database, bootstrap=kafka_bootstrap)):
        await eventually(lambda: _left(database, [(huge, 1), (huge, 2)]), within=20)
        await say(database, note(noted, huge, 3), note(noted, other, 2))
        await eventually(lambda: _left(database, [(huge, 1), (huge, 2), (huge, 3)]))
    assert await on_topic(kafka_bootstrap, noted) == [(other, 1), (other, 2)]
    reason = await database.fetchval("SELECT park_reason FROM outbox LIMIT 1")
    assert "MessageSizeTooLarge" in reason


async def _left(database: Database, expected: list[tuple[str, int]]) -> bool:
    rows = await database.fetch("SELECT subject, sequence FROM outbox ORDER BY id")
    return [(row["subject"], row["sequence"]) for row in rows] == expected


@pytest.mark.parametrize("size", [1_047_000, 1_048_576])
async def test_what_just_fits_is_sent_and_takes_no_other_along(
    database: Database, kafka_bootstrap: str, noted: Type, size: int
) -> None:
    """Around the limit a record is sent or parked, by the client alone: the broker refuses none."""
    edge, other = new_id(), new_id()
    body = len(note(noted, edge, 1).model_dump_json(by_alias=True))
    await say(database, note(noted, edge, 1, "x" * (size - body - 1200)), note(noted, other, 1))
    async with going(Relay(database, bootstrap=kafka_bootstrap)):
        await eventually(lambda: _none_waits(database), within=20)
    assert (other, 1) in await on_topic(kafka_bootstrap, noted)


async def _none_waits(database: Database) -> bool:
    return bool(await database.fetchval("SELECT count(*) = 0 FROM outbox WHERE parked_at IS NULL"))


async def test_a_missing_topic_holds_up_nobody(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events for a topic that is not there wait for it, and go out once it is made; the others go on."""
    monkeypatch.setattr(relay, "MISSING_SECONDS", 0.5)
    monkeypatch.setattr(relay, "TOPIC_SECONDS", 1.0)
    missing, subject = noted_on(f"test-{new_id()}"), new_id()
    await say(database, note(missing, subject, 1), note(noted, subject, 1))
    async with going(Relay(database, bootstrap=kafka_bootstrap)):
        await eventually(lambda: _left(database, [(subject, 1)]), within=20)
        await _create(kafka_bootstrap, missing.topic)
        await eventually(lambda: _empty(database), within=20)
    assert await on_topic(kafka_bootstrap, noted) == [(subject, 1)]
    assert await on_topic(kafka_bootstrap, missing) == [(subject, 1)]


async def _create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 3, 1)])
    await admin.close()


async def test_without_a_broker_it_waits_and_can_be_stopped(
    database: Database, noted: Type, caplog: Any
) -> None:
    """Rows stay, nothing is parked, and a stop is obeyed within a second."""
    await say(database, note(noted, new_id(), 1))
    stop = asyncio.Event()
    running = Relay(database, bootstrap=f"127.0.0.1:{free_ports(1)[0]}").run(stop)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(running)
        await asyncio.sleep(1.2)
        stop.set()
    assert not await _empty(database)
    assert await _none_parked(database)


async def test_an_error_that_no_outage_explains_delays_and_ends_nothing(
    database: Database, kafka_bootstrap: str, noted: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a while a function is missing, as if a release were half installed; then all is published."""
    monkeypatch.setattr(timing, "UNEXPECTED_PAUSE_SECONDS", 0.1)
    subject = new_id()
    async with going(Relay(database, bootstrap=kafka_bootstrap)):
        await database.execute("ALTER FUNCTION list_outbox RENAME TO list_outbox_of_old")
        await say(database, note(noted, subject, 1))
        await asyncio.sleep(0.5)
        assert not await _empty(database)
        await database.execute("ALTER FUNCTION list_outbox_of_old RENAME TO list_outbox")
        await eventually(lambda: _empty(database), within=20)
    assert await on_topic(kafka_bootstrap, noted) == [(subject, 1)]


async def _none_parked(database: Database) -> bool:
    return bool(await database.fetchval("SELECT count(parked_at) = 0 FROM outbox"))
