"""A consumer as `./hoop new-service` writes it, killed around its posts: every event arrives, by its key once."""

import asyncio
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from hoop_events.booking import AppointmentCreated
from hoop_platform.db.database import Database
from hoop_platform.ids import new_id
from local.codegen.new_service import files, setting_of
from local.servers.ports import free_ports
from local.stack.topology import package_of
from local.testing.endpoint import Answer, Endpoint, serving_endpoint
from local.testing.events import example, publish
from local.testing.polling import eventually
from local.testing.service import start_at_end

pytestmark = [pytest.mark.failure, pytest.mark.timeout(120)]

START_LIMIT = 40.0
CONCURRENCY = 8
"""Requests that one process has under way, at most: so many may be repeated after a kill."""
LEASE_LIMIT = 45.0
"""Seconds in which another replica has found what a killed one has left: its lease takes 20."""


class Replica:
    """One process of the consumer, which may be killed and started again."""

    def __init__(self, package: str, environment: dict[str, str]) -> None:
        self._command = (sys.executable, "-m", package)
        self._environment = {**environment, "HTTP_PORT": str(free_ports(1)[0])}
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            command,
            env=self._environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        await self.restart()
        await eventually(self._ready, within=START_LIMIT)

    async def restart(self) -> None:
        """Start. It works at once, and consumes when Kafka has noticed that its last process is dead."""
        self._process = await self.run("serve")

    async def _ready(self) -> bool:
        url = f"http://127.0.0.1:{self._environment['HTTP_PORT']}/health/ready"
        async with ClientSession(timeout=ClientTimeout(total=3)) as http:
            with contextlib.suppress(ClientError, OSError):
                async with http.get(url) as response:
                    return response.status == 200
        return False

    @property
    def is_dead(self) -> bool:
        return self._process is not None and self._process.returncode == -signal.SIGKILL

    async def dead(self) -> bool:
        return self.is_dead

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@dataclass(repr=False)
class World:
    """The consumer's replicas, its database, the endpoint, and what was published."""

    replicas: Sequence[Replica]
    database: Database
    endpoint: Endpoint
    kafka_bootstrap: str
    failpoints: Path
    published: list[AppointmentCreated] = field(default_factory=list)

    def __repr__(self) -> str:
        arrived, problems = len(self.endpoint.effects), self.endpoint.problems
        return f"World({arrived} of {len(self.published)} events arrived, {problems=})"

    async def publish(self, *events: AppointmentCreated) -> None:
        self.published += events
        await publish(self.kafka_bootstrap, *events)

    def kill_at(self, point: str) -> None:
        """The replica that passes this failpoint next dies there."""
        (self.failpoints / point).write_text("kill")

    async def settled(self) -> bool:
        """Whether all that was published is carried out and committed."""
        rows = await self.database.fetch("SELECT subject FROM work WHERE status = 'done'")
        return {row["subject"] for row in rows} == {event.event_id for event in self.published}

    async def hangs(self) -> bool:
        """Whether one request waits for its answer, and everything else is done."""
        done = await self.database.fetchval("SELECT count(*) FROM work WHERE status = 'done'")
        return len(self.endpoint.unanswered) == 1 and done == len(self.published) - 1

    async def expire_leases(self) -> None:
        """As if the lease of the killed process had run out."""
        await self.database.execute("UPDATE work SET lease_until = clock_timestamp()")

    def check(self, *, repeats: int) -> None:
        """Each event by its key once, with its own content, and no more repeats than these."""
        assert self.endpoint.problems == []
        bodies = {event.event_id: event for event in self.published}
        assert self.endpoint.effects.keys() == bodies.keys()
        for key, posted in self.endpoint.effects.items():
            assert AppointmentCreated.model_validate(posted["data"]) == bodies[key]
        assert self.endpoint.repeats.total() <= repeats


def created(appointment: str | None = None, sequence: int = 1) -> AppointmentCreated:
    return example(AppointmentCreated, id=appointment or new_id(), sequence=sequence)


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a new consumer, whose files lie in `tmp_path`; its consumer group is its own."""
    name = f"hooks-{new_id()}"
    for path, text in files(name, AppointmentCreated).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for module in [one for one in sys.modules if one.partition(".")[0] == package_of(name)]:
        del sys.modules[module]


@asynccontextmanager
async def consuming(
    name: str, folder: Path, database: Database, kafka_bootstrap: str, *, replicas: int = 1
) -> AsyncIterator[World]:
    """The consumer's processes, from the end of the topic on; they are killed in the end."""
    package, failpoints = package_of(name), folder / "failpoints"
    failpoints.mkdir()
    service = importlib.import_module(f"{package}.__main__").service
    async with serving_endpoint() as endpoint, AsyncExitStack() as stack:
        environment = {
            "PATH": os.defpath,
            "PYTHONPATH": str(folder),
            f"{package.upper()}_DATABASE_URL": database.dsn,
            "KAFKA_BOOTSTRAP": kafka_bootstrap,
            "FAILPOINT_DIR": str(failpoints),
            setting_of(name).upper(): endpoint.url,
        }
        processes = [Replica(package, environment) for _ in range(replicas)]
        prepare = await processes[0].run("prepare")
        assert await prepare.wait() == 0
        await start_at_end(service, database.dsn, kafka_bootstrap)
        for process in processes:
            stack.push_async_callback(process.kill)
        await asyncio.gather(*(process.start() for process in processes))
        yield World(processes, database, endpoint, kafka_bootstrap, failpoints)


async def test_killed_between_the_request_and_its_answer(
    name: str, tmp_path: Path, new_database: Any, kafka_bootstrap: str
) -> None:
    """Twice for the same event: it arrives twice more, with its key; all others arrive once."""
    async with consuming(name, tmp_path, await new_database(), kafka_bootstrap) as world:
        [replica] = world.replicas
        world.endpoint.answers += [Answer(), Answer(), Answer(hang=True)]
        await world.publish(*(created() for _ in range(6)))
        for answer in (Answer(hang=True), Answer()):
            await eventually(world.hangs, within=20)
            await replica.kill()
            world.endpoint.answers.append(answer)
            await world.expire_leases()
            await replica.restart()
        await eventually(world.settled, within=20)
        world.check(repeats=2)
        assert world.endpoint.repeats.total() == 2


async def test_killed_between_the_answer_and_the_commit(
    name: str, tmp_path: Path, new_database: Any, kafka_bootstrap: str
) -> None:
    """Twice, when the process has read the answer: what it posted is posted twice more, no more."""
    async with consuming(name, tmp_path, await new_database(), kafka_bootstrap) as world:
        [replica] = world.replicas
        await world.publish(*(created() for _ in range(5)))
        await eventually(world.settled, within=20)
        world.kill_at("post_performed")
        await world.publish(created())
        for kills_left in (1, 0):
            await eventually(replica.dead, within=20)
            if kills_left:
                world.kill_at("post_performed")
            await world.expire_leases()
            await replica.restart()
        await eventually(world.settled, within=20)
        world.check(repeats=2)
        assert world.endpoint.repeats.total() == 2


async def test_two_replicas_of_which_one_is_killed_at_each_point(
    name: str,
    tmp_path: Path,
    new_database: Any,
    kafka_bootstrap: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Under load, with an endpoint that is slow and overloaded; the other one takes over in time."""
    async with consuming(
        name, tmp_path, await new_database(), kafka_bootstrap, replicas=2
    ) as world:
        world.endpoint.answers += [
            Answer(delay=0.2),
            Answer(500),
            Answer(429, {"Retry-After": "1"}),
            Answer(503, {"Retry-After": "1"}),
        ] * 3
        appointments = [new_id() for _ in range(12)]
        for sequence, point in enumerate(("post_claimed", "post_performed", "post_recorded"), 1):
            world.kill_at(point)
            await world.publish(*(created(each, sequence) for each in appointments))
            await eventually(lambda: _any_dead(world), within=20)
            await asyncio.gather(*(each.start() for each in world.replicas if each.is_dead))
        await eventually(world.settled, within=LEASE_LIMIT)
        world.check(repeats=3 * CONCURRENCY)
        assert max(world.endpoint.repeats.values()) <= 3
        record_property("events", len(world.published))
        record_property("kills", 3)
        record_property("repeats", world.endpoint.repeats.total())


async def _any_dead(world: World) -> bool:
    return any(replica.is_dead for replica in world.replicas)
