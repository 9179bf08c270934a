"""The ground under a part that is measured by itself: PostgreSQL, Kafka, and a program beside them."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiohttp import ClientError, ClientSession, ClientTimeout

from hoop_platform.config import with_database
from hoop_platform.db.migrate import migrate
from hoop_platform.kafka.topics import ensure_topics
from hoop_platform.secrets import new_key
from local.servers import kafka, postgres, unprivileged
from local.servers.ports import free_ports
from local.stack.supervisor import Program, start_program

from .plan import Broken
from .stack import new_folder

READY_LIMIT = 60.0  # seconds
RUN_LIMIT = 900.0
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, DRIVER_CORE = CORES[0], CORES[-1]
"""Who is measured and who asks do not share a core, where there are two."""


@dataclass(frozen=True)
class Ground:
    """Servers of the bench's own, in a folder that goes with them."""

    folder: Path
    dsn: str
    bootstrap: str
    pids: Mapping[str, int]
    binaries: Path
    """Where PostgreSQL's own programs lie, as far as they were installed."""

    async def database(self, name: str, package: str) -> str:
        """An empty database with the tables of this package: its DSN."""
        dsn = await self.empty_database(name)
        await migrate(dsn, package)
        return dsn

    async def empty_database(self, name: str) -> str:
        """One without any tables: its DSN."""
        server = await asyncpg.connect(self.dsn, timeout=10)
        try:
            await server.execute(f"DROP DATABASE IF EXISTS {name}")
            await server.execute(f"CREATE DATABASE {name}")
        finally:
            await server.close(timeout=5)
        return with_database(self.dsn, name)

    def environment(self, dsn: str, service: str = "availability") -> dict[str, str]:
        """The settings of a service on this ground that keeps its tables there."""
        return {
            "DATABASE_URL": self.dsn,
            f"{service.upper()}_DATABASE_URL": dsn,
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "DATA_KEY": new_key(),
        }

    async def run(self, dsn: str, package: str, *command: str) -> bytes:
        """Run a command of a service to its end: what it says."""
        return (await self.timed(dsn, "-m", package, *command)).said

    async def timed(self, dsn: str, *command: str) -> "Ran":
        """Run a Python program to its end, on the core of those measured."""
        before, begun = os.times(), time.perf_counter()
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            env=self.environment(dsn),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            os.sched_setaffinity(program.pid, {SERVER_CORE})
            async with asyncio.timeout(RUN_LIMIT):
                said, why = await program.communicate()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        passed, after = time.perf_counter() - begun, os.times()
        if program.returncode:
            words = why.decode(errors="replace")[-2000:]
            raise Broken(f"{' '.join(command)} ended with {program.returncode}:\n{words}")
        spent = after.children_user + after.children_system
        return Ran(said, passed, spent - before.children_user - before.children_system)


@dataclass(frozen=True)
class Ran:
    """A program that has ended: what it said, seconds on the clock, CPU seconds of its own."""

    said: bytes
    seconds: float
    cpu: float


@asynccontextmanager
async def ground() -> AsyncIterator[Ground]:
    """PostgreSQL that waits for its disk, and Kafka with all topics; both stopped whatever happens."""
    folder = new_folder()
    ports = free_ports(3)
    async with AsyncExitStack() as opened:
        opened.callback(shutil.rmtree, folder, ignore_errors=True)
        opened.callback(unprivileged.forget, folder / "postgres")
        server = await postgres.start(folder / "postgres", port=ports[0], durable=True)
        opened.push_async_callback(server.stop)
        broker = await kafka.start(folder / "kafka", port=ports[1], controller_port=ports[2])
        opened.push_async_callback(broker.stop)
        await ensure_topics(broker.bootstrap)
        pids = {"postgres": server.pid, "kafka": broker.pid}
        binaries = server.cluster.binaries.folder
        yield Ground(folder, server.dsn, broker.bootstrap, pids, binaries)


@dataclass(frozen=True)
class Server:
    """An HTTP server that answers: the one that is measured, or its floor."""

    port: int
    pid: int
    beside: Mapping[str, int] = field(default_factory=dict)
    """Other processes that work for its answers, by name."""


@asynccontextmanager
async def serving(ground: Ground, dsn: str, service: str = "availability") -> AsyncIterator[Server]:
    """One service alone, in a process of its own, on the core of those measured."""
    (port,) = free_ports(1)
    settings = ground.environment(dsn, service) | {"HTTP_PORT": str(port)}
    command = [sys.executable, "-m", service, "serve", str(ground.folder)]
    program = await start_program(service, command, folder=ground.folder, environment=settings)
    async with _kept(program, port, "/health/ready") as server:
        yield server


@asynccontextmanager
async def empty_handler(folder: Path) -> AsyncIterator[Server]:
    """The floor: what aiohttp and uvloop take for an answer of two bytes."""
    (port,) = free_ports(1)
    program = str(Path(__file__).with_name("empty.py"))
    command = [sys.executable, program, str(port), str(folder)]
    started = await start_program("empty", command, folder=folder, environment={})
    async with _kept(started, port, "/calendars/none/free-slots") as server:
        yield server


@asynccontextmanager
async def bare_booking(ground: Ground, dsn: str) -> AsyncIterator[Server]:
    """The floor of a booking: aiohttp and uvloop, JSON read, one statement that takes the time."""
    (port,) = free_ports(1)
    program = str(Path(__file__).with_name("bare.py"))
    command = [sys.executable, program, str(port), dsn, str(ground.folder)]
    started = await start_program("bare", command, folder=ground.folder, environment={})
    async with _kept(started, port, "/") as server:
        yield server


@asynccontextmanager
async def _kept(program: Program, port: int, path: str) -> AsyncIterator[Server]:
    try:
        os.sched_setaffinity(program.pid, {SERVER_CORE})
        await _answers(program, f"http://127.0.0.1:{port}{path}")
        yield Server(port, program.pid)
    except Exception:
        sys.stderr.write(f"{program.server.log}:\n{program.server.last_words(40)}\n")
        raise
    finally:
        await program.stop()


async def _answers(program: Program, address: str) -> None:
    deadline = time.monotonic() + READY_LIMIT
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        while program.alive and time.monotonic() < deadline:
            try:
                async with http.get(address) as response:
                    if response.status == 200:
                        return
            except (ClientError, TimeoutError):
                pass  # not yet: that is what we wait for
            await asyncio.sleep(0.05)
    raise Broken(f"{address} was not ready:\n{program.server.last_words()}")
