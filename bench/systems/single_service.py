"""One service by itself: PostgreSQL and Kafka of the bench's own, and the process that is measured."""

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

from bench.report.findings import Broken
from bench.systems.full_system import new_folder
from hoop_platform.config import with_database
from hoop_platform.db.migrate import migrate
from hoop_platform.kafka.topics import ensure_topics
from hoop_platform.secrets import new_key
from local.servers import kafka, postgres, unprivileged
from local.servers.ports import free_ports
from local.stack.supervisor import Program, start_program

READY_LIMIT = 60.0  # seconds
RUN_LIMIT = 900.0
BASELINES = Path(__file__).resolve().parents[1] / "baselines"
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, DRIVER_CORE = CORES[0], CORES[-1]
"""The measured server and the load generator do not share a core, where there are two."""


@dataclass(frozen=True)
class Servers:
    """PostgreSQL and Kafka of the bench's own, with their data in a temporary folder."""

    folder: Path
    dsn: str
    bootstrap: str
    pids: Mapping[str, int]
    binaries: Path
    """The folder of PostgreSQL's own programs; not every installation has all of them."""

    async def database(self, name: str, package: str) -> str:
        """Create a database with the tables of this package; return its DSN."""
        dsn = await self.empty_database(name)
        await migrate(dsn, package)
        return dsn

    async def empty_database(self, name: str) -> str:
        """Create a database without tables, in place of an older one of this name; return its DSN."""
        server = await asyncpg.connect(self.dsn, timeout=10)
        try:
            await server.execute(f"DROP DATABASE IF EXISTS {name}")
            await server.execute(f"CREATE DATABASE {name}")
        finally:
            await server.close(timeout=5)
        return with_database(self.dsn, name)

    def environment(self, dsn: str, service: str = "availability") -> dict[str, str]:
        """Return the settings of a service that uses these servers and the database `dsn`."""
        return {
            "DATABASE_URL": self.dsn,
            f"{service.upper()}_DATABASE_URL": dsn,
            "KAFKA_BOOTSTRAP": self.bootstrap,
            "DATA_KEY": new_key(),
        }

    async def run(self, dsn: str, package: str, *command: str) -> bytes:
        """Run a command of a service to its end; return its standard output."""
        return (await self.run_timed(dsn, "-m", package, *command)).stdout

    async def run_timed(self, dsn: str, *command: str) -> "CompletedProgram":
        """Run a Python program to its end, on the core of the measured server."""
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
                stdout, stderr = await program.communicate()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        passed, after = time.perf_counter() - begun, os.times()
        if program.returncode:
            words = stderr.decode(errors="replace")[-2000:]
            raise Broken(f"{' '.join(command)} ended with {program.returncode}:\n{words}")
        spent = after.children_user + after.children_system
        return CompletedProgram(
            stdout, passed, spent - before.children_user - before.children_system
        )


@dataclass(frozen=True)
class CompletedProgram:
    """The output of a program that has ended, its seconds on the clock and its CPU seconds."""

    stdout: bytes
    seconds: float
    cpu: float


@asynccontextmanager
async def running_servers() -> AsyncIterator[Servers]:
    """Run PostgreSQL with durable commits, and Kafka with all topics; both are stopped in any case."""
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
        yield Servers(folder, server.dsn, broker.bootstrap, pids, binaries)


@dataclass(frozen=True)
class MeasuredServer:
    """A running HTTP server: the one that is measured, or its baseline."""

    port: int
    pid: int
    helper_pids: Mapping[str, int] = field(default_factory=dict)
    """Other processes that work for its responses, by name."""


@asynccontextmanager
async def running_service(
    servers: Servers, dsn: str, service: str = "availability"
) -> AsyncIterator[MeasuredServer]:
    """Run one service alone, in a process of its own, on the core of the measured server."""
    (port,) = free_ports(1)
    settings = servers.environment(dsn, service) | {"HTTP_PORT": str(port)}
    command = [sys.executable, "-m", service, "serve", str(servers.folder)]
    program = await start_program(service, command, folder=servers.folder, environment=settings)
    async with _measured(program, port, "/health/ready") as server:
        yield server


@asynccontextmanager
async def running_empty_handler(folder: Path) -> AsyncIterator[MeasuredServer]:
    """Run the baseline of an HTTP response: aiohttp and uvloop, two bytes."""
    (port,) = free_ports(1)
    program = str(BASELINES / "empty_handler.py")
    command = [sys.executable, program, str(port), str(folder)]
    started = await start_program("empty-handler", command, folder=folder, environment={})
    async with _measured(started, port, "/calendars/none/free-slots") as server:
        yield server


@asynccontextmanager
async def running_bare_handler(servers: Servers, dsn: str) -> AsyncIterator[MeasuredServer]:
    """Run the baseline of a booking: aiohttp and uvloop, the JSON body read, one SQL statement."""
    (port,) = free_ports(1)
    program = str(BASELINES / "bare_handler.py")
    command = [sys.executable, program, str(port), dsn, str(servers.folder)]
    started = await start_program("bare-handler", command, folder=servers.folder, environment={})
    async with _measured(started, port, "/") as server:
        yield server


@asynccontextmanager
async def _measured(program: Program, port: int, path: str) -> AsyncIterator[MeasuredServer]:
    try:
        os.sched_setaffinity(program.pid, {SERVER_CORE})
        await _wait_until_ready(program, f"http://127.0.0.1:{port}{path}")
        yield MeasuredServer(port, program.pid)
    except Exception:
        sys.stderr.write(f"{program.server.log}:\n{_last_lines(program)}\n")
        raise
    finally:
        await program.stop()


async def _wait_until_ready(program: Program, address: str) -> None:
    deadline = time.monotonic() + READY_LIMIT
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        while program.alive and time.monotonic() < deadline:
            try:
                async with http.get(address) as response:
                    if response.status == 200:
                        return
            except (ClientError, TimeoutError):
                pass  # it does not listen yet
            await asyncio.sleep(0.05)
    raise Broken(f"{address} was not ready:\n{_last_lines(program)}")


def _last_lines(program: Program, count: int = 40) -> str:
    return "\n".join(program.server.log.read_text(errors="replace").splitlines()[-count:])
