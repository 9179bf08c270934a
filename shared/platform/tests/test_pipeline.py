"""From a commit to an effect: the outbox, its relay, a consumer group, and what goes wrong between."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from hoop_events import Account, AccountChanged, Location, LocationChanged
from local.testing import publish
from shared import failpoints
from shared.db import Connection, Database
from shared.ids import new_id
from shared.kafka import Group, Subscriptions, ensure_topics
from shared.outbox import Relay, announce

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
TICK = 0.01


def account(subject: str, sequence: int, name: str = "Ada") -> AccountChanged:
    state = Account(id=subject, sequence=sequence, name=name)
    return AccountChanged(account_id=subject, state=state)


async def until(condition: Callable[[], Any], *, within: float = 20) -> None:
    """Wait until it holds; a coroutine's answer counts as well."""
    async with asyncio.timeout(within):
        while True:
            answer = condition()
            if (await answer) if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(TICK)


@asynccontextmanager
async def going(*parts: Any) -> AsyncIterator[None]:
    """Run the parts of a service beside the test."""
    stop = asyncio.Event()
    tasks = [asyncio.get_running_loop().create_task(part.run(stop)) for part in parts]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


@pytest.fixture
async def database(new_database: Any) -> Database:
    found: Database = await new_database()
    await found.execute("CREATE TABLE heard (subject text, sequence bigint, name text)")
    return found


class Listener:
    """Writes down what it hears, in the database; may be told to fail."""

    def __init__(self) -> None:
        self.failing = ""
        self.tries = 0

    async def hear(self, db: Connection, event: AccountChanged) -> None:
        self.tries += 1
        if event.state.name == self.failing:
            raise RuntimeError("cannot handle this")
        await db.execute(
            "INSERT INTO heard VALUES ($1, $2, $3)", event.subject, event.sequence, event.state.name
        )


def group(database: Database, bootstrap: str, listener: Listener) -> Group:
    handlers: Any = {AccountChanged: listener.hear}
    return Group(f"test-{new_id()}", database, Subscriptions(handlers), bootstrap=bootstrap)


async def heard(database: Database, subject: str) -> list[int]:
    rows = await database.fetch("SELECT sequence FROM heard WHERE subject = $1", subject)
    return [row["sequence"] for row in rows]


async def test_what_is_committed_is_heard_once_and_in_order(
    database: Database, kafka_bootstrap: str
) -> None:
    """A thousand announcements of ten aggregates by ten writers: nothing lost, doubled or reordered."""
    await ensure_topics(kafka_bootstrap)
    subjects = [new_id() for _ in range(10)]

    async def write(subject: str) -> None:
        for sequence in range(1, 101):
            async with database.transaction() as db:
                await announce(db, account(subject, sequence), now=NOON)

    relay = Relay(database, bootstrap=kafka_bootstrap)
    async with going(relay, group(database, kafka_bootstrap, Listener())):
        await asyncio.gather(*(write(subject) for subject in subjects))
        for subject in subjects:
            await until(lambda s=subject: _complete(database, s))
    assert await database.fetchval("SELECT count(*) FROM outbox") == 0


async def _complete(database: Database, subject: str) -> bool:
    found = await heard(database, subject)
    assert found == list(range(1, len(found) + 1))
    return len(found) == 100


async def test_nothing_is_announced_without_its_transaction(database: Database) -> None:
    async def change_my_mind() -> None:
        async with database.transaction() as db:
            await announce(db, account(new_id(), 1), now=NOON)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_my_mind()
    assert await database.fetchval("SELECT count(*) FROM outbox") == 0


async def test_duplicates_and_latecomers_are_dropped(
    database: Database, kafka_bootstrap: str
) -> None:
    await ensure_topics(kafka_bootstrap)
    subject = new_id()
    events = [account(subject, n) for n in (1, 2, 2, 1, 3, 1, 3)]
    async with going(group(database, kafka_bootstrap, Listener())):
        await publish(kafka_bootstrap, *events, account(subject, 4))
        await until(lambda: _has(database, subject, 4))
    assert await heard(database, subject) == [1, 2, 3, 4]


async def _has(database: Database, subject: str, sequence: int) -> bool:
    return sequence in await heard(database, subject)


async def test_poison_is_set_aside_and_the_rest_goes_on(
    database: Database, kafka_bootstrap: str
) -> None:
    """What cannot be read, and what cannot be handled, is kept as it came; its neighbours are handled."""
    await ensure_topics(kafka_bootstrap)
    good, bad, listener = new_id(), new_id(), Listener()
    listener.failing = "Bad"
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        await producer.send_and_wait(
            "accounts", key=bad.encode(), value=b"\xff", headers=[("ce_id", b"\xff")]
        )
    await publish(
        kafka_bootstrap, account(bad, 1, "Bad"), account(bad, 2, "Better"), account(good, 1)
    )
    async with going(group(database, kafka_bootstrap, listener)):
        await until(lambda: _has(database, good, 1))
        await until(lambda: _has(database, bad, 2))
    assert await heard(database, bad) == [2]
    kept = await database.fetch("SELECT error, value FROM quarantine WHERE key = $1", bad.encode())
    assert len(kept) == 2
    assert any("cannot handle this" in row["error"] for row in kept)


async def test_a_handler_that_failed_for_a_moment_is_asked_again(
    database: Database, kafka_bootstrap: str
) -> None:
    """An error that passes costs nothing but time."""
    await ensure_topics(kafka_bootstrap)
    subject, listener = new_id(), Listener()
    listener.failing = "Late"
    async with going(group(database, kafka_bootstrap, listener)):
        await publish(kafka_bootstrap, account(subject, 1, "Late"))
        await until(lambda: listener.tries >= 2)
        listener.failing = ""
        await until(lambda: _has(database, subject, 1))
    assert await database.fetchval("SELECT count(*) FROM quarantine") == 0


@pytest.mark.parametrize("point", ["relay_claimed", "relay_sent", "relay_acknowledged"])
async def test_a_relay_that_dies_anywhere_loses_and_doubles_nothing(
    database: Database, kafka_bootstrap: str, point: str
) -> None:
    """Its successor sends the rows again; consumers see each event once."""
    await ensure_topics(kafka_bootstrap)
    subject = new_id()
    async with database.transaction() as db:
        await announce(db, *(account(subject, n) for n in (1, 2, 3)), now=NOON)
    failpoints.arm(f"{point}=raise")
    with pytest.raises(RuntimeError, match=point):
        await asyncio.wait_for(
            Relay(database, bootstrap=kafka_bootstrap).run(asyncio.Event()), timeout=20
        )
    relay = Relay(database, bootstrap=kafka_bootstrap)
    async with going(relay, group(database, kafka_bootstrap, Listener())):
        await until(lambda: _has(database, subject, 3))
    assert await heard(database, subject) == [1, 2, 3]


async def test_one_relay_leads_and_the_other_takes_over(
    database: Database, kafka_bootstrap: str
) -> None:
    await ensure_topics(kafka_bootstrap)
    subject = new_id()
    first, second = (Relay(database, bootstrap=kafka_bootstrap) for _ in range(2))
    async with going(group(database, kafka_bootstrap, Listener()), second):
        async with going(first):
            async with database.transaction() as db:
                await announce(db, account(subject, 1), now=NOON)
            await until(lambda: _has(database, subject, 1))
        async with database.transaction() as db:
            await announce(db, account(subject, 2), now=NOON)
        await until(lambda: _has(database, subject, 2))


async def test_what_is_too_large_is_parked_with_what_follows_it(
    database: Database, kafka_bootstrap: str
) -> None:
    """Order within an aggregate matters more than progress; other aggregates go on."""
    await ensure_topics(kafka_bootstrap)
    huge, other = new_id(), new_id()
    async with database.transaction() as db:
        await announce(
            db, account(huge, 1, "x" * 1_200_000), account(huge, 2), account(other, 1), now=NOON
        )
    relay = Relay(database, bootstrap=kafka_bootstrap)
    async with going(relay, group(database, kafka_bootstrap, Listener())):
        await until(lambda: _has(database, other, 1))
        async with database.transaction() as db:
            await announce(db, account(huge, 3), account(other, 2), now=NOON)
        await until(lambda: _has(database, other, 2))
    left = await database.fetch("SELECT sequence FROM outbox ORDER BY id")
    assert [row["sequence"] for row in left] == [1, 2, 3]
    assert await heard(database, huge) == []


async def test_two_members_share_the_partitions_and_handle_each_event_once(
    database: Database, kafka_bootstrap: str
) -> None:
    """A second member joins and leaves while events arrive: nothing is lost or handled twice."""
    await ensure_topics(kafka_bootstrap)
    subjects = [new_id() for _ in range(30)]
    name, listener = f"test-{new_id()}", Listener()

    def member() -> Group:
        handlers: Any = {AccountChanged: listener.hear}
        return Group(name, database, Subscriptions(handlers), bootstrap=kafka_bootstrap)

    async with going(member()):
        await publish(kafka_bootstrap, *(account(s, 1) for s in subjects))
        async with going(member()):
            await publish(kafka_bootstrap, *(account(s, 2) for s in subjects))
        await publish(kafka_bootstrap, *(account(s, 3) for s in subjects))
        for subject in subjects:
            await until(lambda s=subject: _has(database, s, 3))
    for subject in subjects:
        assert await heard(database, subject) == [1, 2, 3]


async def test_a_tombstone_forgets(database: Database, kafka_bootstrap: str) -> None:
    await ensure_topics(kafka_bootstrap)
    subject, forgotten = new_id(), asyncio.Event()

    async def hear(db: Connection, event: LocationChanged) -> None:
        await db.execute("INSERT INTO heard VALUES ($1, 1, '')", event.subject)

    async def forget(db: Connection, key: str) -> None:
        await db.execute("DELETE FROM heard WHERE subject = $1", key)
        if key == subject:
            forgotten.set()

    subscriptions = Subscriptions({LocationChanged: hear}, {"locations": forget})
    group = Group(f"test-{new_id()}", database, subscriptions, bootstrap=kafka_bootstrap)
    state = Location(id=subject, sequence=1, name="Here", time_zone="UTC")
    await publish(kafka_bootstrap, LocationChanged(account_id=new_id(), state=state))
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        await producer.send_and_wait("locations", key=subject.encode(), value=None)
    async with going(group):
        await asyncio.wait_for(forgotten.wait(), 20)
        await until(lambda: _gone(database, subject))


async def _gone(database: Database, subject: str) -> bool:
    return not await heard(database, subject)
