"""The machinery on servers that are killed, frozen or not there yet: one process, never restarted, recovers."""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from hoop_events.base import Event, State
from hoop_platform.clock import Clock
from hoop_platform.db.database import CONTENTION, UNAVAILABLE, Database, Tx
from hoop_platform.db.migrate import migrate
from hoop_platform.ids import new_id
from hoop_platform.kafka.batch import Subscriptions
from hoop_platform.kafka.group import ConsumerGroup
from hoop_platform.outbox.announce import announce
from hoop_platform.outbox.relay import Relay
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Done, Outcome
from hoop_platform.reconcile.work import desire
from hoop_platform.reconcile.worker import Worker
from local.servers import kafka, postgres, unprivileged
from local.servers.kafka import Kafka
from local.servers.ports import free_ports
from local.servers.postgres import Postgres
from local.testing.polling import eventually

pytestmark = [pytest.mark.failure, pytest.mark.timeout(120)]

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
TELLERS = 8


class Said(Event):
    """Something was said."""

    type: ClassVar = "Said"
    source: ClassVar = "/test"


@dataclass
class Broker:
    """A broker of the test's own, which it may kill and start again."""

    folder: Path
    ports: tuple[int, int]
    running: Kafka | None = None

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    async def start(self) -> None:
        port, controller = self.ports
        self.running = await kafka.start(
            self.folder / "kafka", port=port, controller_port=controller
        )

    def send(self, sign: signal.Signals) -> None:
        assert self.running is not None
        os.kill(self.running.pid, sign)
        if sign == signal.SIGKILL:
            self.running.server.process.wait(10)

    async def stop(self) -> None:
        if self.running is not None:
            await self.running.stop()


def _on(name: str) -> type[Said]:
    class OnTopic(Said):
        topic: ClassVar = name

    return OnTopic


async def make_topic(bootstrap: str, name: str | None = None) -> type[Said]:
    """An event on a topic of its own, of three partitions."""
    found = _on(name or f"test-{new_id()}")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(found.topic, 3, 1)])
    finally:
        await admin.close()
    return found


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    one, other = free_ports(2)
    found = Broker(tmp_path, (one, other))
    yield found
    await found.stop()


@dataclass
class Story:
    """What was told, by many tellers at once, and what was heard of it."""

    database: Database
    log: type[Said]
    subjects: tuple[str, ...]
    newest: dict[str, int]

    async def tell(self, subject: str, stop: asyncio.Event) -> None:
        """One event after the other; one whose commit was not confirmed is told again."""
        sequence = 1
        while not stop.is_set():
            event = self.log(account_id=subject, state=State(id=subject, sequence=sequence))
            try:
                async with self.database.transaction() as db:
                    await announce(db, event, now=NOON)
            except (*UNAVAILABLE, *CONTENTION):
                await asyncio.sleep(0.1)
            except asyncpg.UniqueViolationError:  # the commit had come through
                sequence += 1
            else:
                self.newest[subject] = sequence
                sequence += 1
                await asyncio.sleep(0.02)

    async def hear(self, db: Tx, event: Said, _: datetime) -> None:
        await db.execute("INSERT INTO heard VALUES ($1, $2)", event.subject, event.sequence)

    async def complete(self) -> bool:
        """Whether all that was confirmed was heard."""
        try:
            rows = await self.database.fetch(
                "SELECT subject, max(sequence) AS newest FROM heard GROUP BY subject"
            )
        except UNAVAILABLE:
            return False
        heard = {row["subject"]: row["newest"] for row in rows}
        return all(heard.get(subject, 0) >= newest for subject, newest in self.newest.items())

    async def begun(self) -> bool:
        """Whether something of everybody was heard."""
        return await self.database.fetchval("SELECT count(DISTINCT subject) FROM heard") == TELLERS

    async def check(self) -> None:
        """Each exactly once, in its order, and nothing left behind."""
        for subject in self.subjects:
            rows = await self.database.fetch(
                "SELECT sequence FROM heard WHERE subject = $1 ORDER BY n", subject
            )
            assert [row["sequence"] for row in rows] == [*range(1, len(rows) + 1)]
            assert len(rows) >= self.newest[subject] > 0
        assert await self.database.fetchval("SELECT count(*) FROM dead_letter") == 0
        assert await self.database.fetchval("SELECT count(parked_at) FROM outbox") == 0


async def story(database: Database, log: type[Said]) -> Story:
    await database.execute("CREATE TABLE heard (subject text, sequence bigint, n bigserial)")
    subjects = tuple(new_id() for _ in range(TELLERS))
    return Story(database, log, subjects, dict.fromkeys(subjects, 0))


def group(story: Story, bootstrap: str, name: str | None = None) -> ConsumerGroup:
    subscriptions = Subscriptions({story.log: story.hear})
    return ConsumerGroup(
        name or f"test-{new_id()}",
        story.database,
        subscriptions,
        bootstrap=bootstrap,
        clock=Clock(),
    )


@asynccontextmanager
async def going(*parts: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for part in parts:
            tasks.create_task(part(stop))
        yield
        stop.set()


@asynccontextmanager
async def telling(story: Story) -> AsyncIterator[None]:
    async with going(*((lambda stop, s=s: story.tell(s, stop)) for s in story.subjects)):
        yield


async def test_a_broker_that_is_killed_and_comes_back(new_database: Any, broker: Broker) -> None:
    """While events are announced and handled: each arrives once and in its order."""
    await broker.start()
    log = await story(await new_database(), await make_topic(broker.bootstrap))
    relay = Relay(log.database, bootstrap=broker.bootstrap)
    async with going(relay.run, group(log, broker.bootstrap).run):
        async with telling(log):
            await asyncio.sleep(1.5)
            broker.send(signal.SIGKILL)
            await asyncio.sleep(1)
            await broker.start()
            await asyncio.sleep(1)
        await eventually(log.complete, within=20)
        await log.check()


async def test_a_broker_that_freezes_and_thaws(new_database: Any, broker: Broker) -> None:
    """Twelve seconds of silence with all connections open: announcing goes on, nothing is lost."""
    await broker.start()
    log = await story(await new_database(), await make_topic(broker.bootstrap))
    relay = Relay(log.database, bootstrap=broker.bootstrap)
    async with going(relay.run, group(log, broker.bootstrap).run):
        async with telling(log):
            await asyncio.sleep(1.5)
            broker.send(signal.SIGSTOP)
            before = dict(log.newest)
            await asyncio.sleep(12)
            assert all(log.newest[s] > before[s] for s in log.subjects)
            broker.send(signal.SIGCONT)
            await asyncio.sleep(0.5)
        await eventually(log.complete, within=20)
        await log.check()


async def test_a_broker_that_is_not_there_yet(new_database: Any, broker: Broker) -> None:
    """What was announced before it came is handled once it is there; nobody is started again."""
    log = await story(await new_database(), _on(f"test-{new_id()}"))
    relay = Relay(log.database, bootstrap=broker.bootstrap)
    one = group(log, broker.bootstrap)
    async with going(relay.run, one.run):
        async with telling(log):
            await asyncio.sleep(1)
        assert not one.joined.is_set()
        await broker.start()
        await make_topic(broker.bootstrap, log.log.topic)
        await eventually(log.complete, within=45)
        await log.check()


def _kill_the_tree(pid: int) -> None:
    """All at once, as when the machine loses its power."""
    asked = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    for victim in [pid, *map(int, asked.stdout.split())]:
        os.kill(victim, signal.SIGKILL)


@asynccontextmanager
async def at_work(database: Database, kafka_bootstrap: str) -> AsyncIterator[None]:
    """Relay, group and worker of one process, with plenty to do; in the end it is all done."""
    log = await story(database, await make_topic(kafka_bootstrap))
    relay = Relay(database, bootstrap=kafka_bootstrap)
    worker = Worker(database, {"deed": _perform}, concurrency=4)
    async with going(relay.run, group(log, kafka_bootstrap).run, worker.run):
        async with telling(log), going(lambda stop: _desire(database, stop)):
            await asyncio.sleep(1)
            yield
            await asyncio.sleep(1)
        await eventually(log.complete, within=20)
        await eventually(lambda: _worked_off(database), within=20)
        await log.check()


@asynccontextmanager
async def serving(base: Path) -> AsyncIterator["tuple[Server, Database]"]:
    server = Server(base, free_ports(1)[0])
    await server.start()
    await migrate(server.dsn)
    database = await Database.open(server.dsn, name="survivor")
    try:
        yield server, database
    finally:
        await database.close()
        await server.stop()


async def test_a_postgres_that_is_killed_and_comes_back(
    tmp_path: Path, kafka_bootstrap: str
) -> None:
    """Twice: what was confirmed is heard and worked off, by the same process."""
    async with (
        serving(tmp_path / "postgres") as (server, database),
        at_work(database, kafka_bootstrap),
    ):
        for _ in range(2):
            await asyncio.sleep(1)
            server.send(signal.SIGKILL)
            await asyncio.sleep(0.5)
            await server.start()


async def test_a_postgres_that_freezes_and_thaws(tmp_path: Path, kafka_bootstrap: str) -> None:
    """Twelve seconds: whoever asks is told in time that it is not there, and nothing is lost."""
    async with (
        serving(tmp_path / "postgres") as (server, database),
        at_work(database, kafka_bootstrap),
    ):
        server.send(signal.SIGSTOP)
        asked_at = asyncio.get_running_loop().time()
        with pytest.raises(UNAVAILABLE):
            await database.fetchval("SELECT 1")
        assert asyncio.get_running_loop().time() - asked_at < 11
        await asyncio.sleep(max(0, asked_at + 12 - asyncio.get_running_loop().time()))
        server.send(signal.SIGCONT)


async def test_a_storm_of_cut_connections(new_database: Any, kafka_bootstrap: str) -> None:
    """For three seconds, ten times a second, every connection is cut: nothing is lost or set aside."""
    database, judge = await new_database(), await new_database()
    async with at_work(database, kafka_bootstrap):
        for _ in range(30):
            await judge.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                database.dsn.rpartition("/")[2],
            )
            await asyncio.sleep(0.1)


@dataclass
class Server:
    """A PostgreSQL of the test's own, which it may kill and start again."""

    base: Path
    port: int
    running: Postgres | None = None

    @property
    def dsn(self) -> str:
        assert self.running is not None
        return self.running.dsn_for("survivor")

    async def start(self) -> None:
        self.running = await postgres.start(self.base, port=self.port, durable=True)

    def send(self, sign: signal.Signals) -> None:
        """To the whole tree at once, as when the machine loses its power or its disk hangs."""
        assert self.running is not None
        pid = str(self.running.pid)
        asked = subprocess.run(["pgrep", "-P", pid], capture_output=True, text=True, check=False)
        for one in [pid, *asked.stdout.split()]:
            os.kill(int(one), sign)
        if sign == signal.SIGKILL:
            self.running.server.process.wait(10)

    async def stop(self) -> None:
        if self.running is not None:
            await self.running.stop()
        unprivileged.forget(self.base)


async def _perform(_: Claimed) -> Outcome:
    await asyncio.sleep(0.005)
    return Done()


async def _desire(database: Database, stop: asyncio.Event) -> None:
    """Desired states of ten provider users, one after the other."""
    number = 0
    while not stop.is_set():
        number += 1
        said = (new_id(), "deed", new_id(), "zoom", str(number % 10), NOON, {}, 1)
        try:
            async with database.transaction() as db:
                await desire(db, DesiredState(*said))
        except (*UNAVAILABLE, *CONTENTION):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.02)


async def _worked_off(database: Database) -> bool:
    try:
        row = await database.fetchrow("SELECT count(*) AS all, bool_and(status = 'done') FROM work")
    except UNAVAILABLE:
        return False
    assert row is not None
    return bool(row["all"] > 30 and row["bool_and"])


async def test_a_member_that_sleeps_past_its_session_applies_nothing_when_it_wakes(
    new_database: Any, kafka_bootstrap: str
) -> None:
    """Its loop stands still for twenty seconds; another member takes its partitions; then it wakes."""
    log = await story(await new_database(), await make_topic(kafka_bootstrap))
    relay = Relay(log.database, bootstrap=kafka_bootstrap)
    name = f"test-{new_id()}"
    with Sleeper(log, kafka_bootstrap, name) as sleeper:
        async with going(relay.run), telling(log):
            await eventually(log.begun, within=20)
            sleeper.sleep(20)
            before = dict(log.newest)
            async with going(group(log, kafka_bootstrap, name).run):
                await eventually(lambda: _heard_beyond(log, before), within=19)
                assert sleeper.asleep
                await eventually(sleeper.awake, within=20)
                await asyncio.sleep(1)
        await eventually(log.complete, within=20)
    await log.check()


async def _heard_beyond(log: Story, before: dict[str, int]) -> bool:
    rows = await log.database.fetch(
        "SELECT subject, max(sequence) AS newest FROM heard GROUP BY subject"
    )
    return all(row["newest"] > before[row["subject"]] for row in rows)


class Sleeper:
    """A member of the group in a thread, whose loop can be made to stand still."""

    def __init__(self, log: Story, bootstrap: str, name: str) -> None:
        self.asleep = False
        self._log, self._bootstrap, self._name = log, bootstrap, name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        database = await Database.open(self._log.database.dsn, name="sleeper")
        theirs = Story(database, self._log.log, self._log.subjects, {})
        await group(theirs, self._bootstrap, self._name).run(self._stop)
        await database.close()

    def sleep(self, seconds: float) -> None:
        def stand_still() -> None:
            self.asleep = True
            time.sleep(seconds)
            self.asleep = False

        assert self._loop is not None
        self._loop.call_soon_threadsafe(stand_still)

    async def awake(self) -> bool:
        return not self.asleep

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)
