"""Embedded PostgreSQL: started and stopped without root and without a container."""

import asyncio
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from local.servers import unprivileged
from local.servers.cluster import Cluster, prepare
from local.servers.ports import LOOPBACK, until_free
from local.servers.process import (
    BUSY,
    CannotStart,
    ServerProcess,
    command_of,
    disown,
    end_leftover,
    ended_on_failure,
    own,
    spawn,
)

PORT = 5432  # the standard port
START_LIMIT = 240.0  # seconds, including recovery after a crash, on a machine that does much else

COMMON = {
    "max_connections": "300",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] %d %a ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
EMBEDDED = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # the path of a socket is limited to 107 bytes
}
NOT_DURABLE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

_STILL_STOPPING = re.compile(r"pre-existing shared memory block|lock file \S+ already exists")
_NOT_READY = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running embedded server."""

    base: Path
    port: int
    durable: bool
    cluster: Cluster
    server: ServerProcess

    @property
    def dsn(self) -> str:
        """The DSN of the database `postgres`, as superuser."""
        return self.dsn_for("postgres")

    @property
    def origin(self) -> str:
        """Where the binaries come from."""
        return self.cluster.binaries.origin

    @property
    def pid(self) -> int:
        """The operating system's id of the server's first process."""
        return self.server.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs; reading this reaps a process that has ended."""
        return self.server.alive

    @property
    def log(self) -> Path:
        """The server's log file, with lock waits and deadlocks."""
        return self.server.log

    def dsn_for(self, name: str) -> str:
        """The DSN of a database on this server, whether it exists or not."""
        return _dsn(self.cluster, self.port, name)

    async def stop(self) -> None:
        """Stop the server (fast shutdown: sessions are closed). A server that has ended may be stopped again."""
        await self.server.stop(signal.SIGINT)
        if not self.durable:
            unprivileged.forget(self.base)
        disown(self.base)


async def start(base: Path, *, port: int, durable: bool) -> Postgres:
    """Start a server with its data in the folder `base`, which is initialized at the first start.

    durable: whether data survive a crash of the machine; tests do without and never wait for the
    disk. Raises `CannotStart` with the reason and the fix.
    """
    base = own(base)
    cluster = await prepare(base, durable=durable)
    await end_leftover("postgres", cluster.home, signal.SIGINT)
    await until_free(port)
    server = await _start(cluster, base / "postgres.log", port=port, durable=durable)
    return Postgres(base=base, port=port, durable=durable, cluster=cluster, server=server)


async def responds(dsn: str) -> bool:
    """Whether the server accepts connections now."""
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
        await connection.close(timeout=5)
    except _NOT_READY:
        return False
    return True


async def _start(cluster: Cluster, log: Path, *, port: int, durable: bool) -> ServerProcess:
    """Start the server; try again while processes of a killed server are still stopping."""
    settings = COMMON | EMBEDDED | {"port": str(port)} | ({} if durable else NOT_DURABLE)
    command: list[str | Path] = [cluster.binaries.folder / "postgres", "-D", cluster.data]
    command += [f"--{name}={value}" for name, value in settings.items()]
    deadline = time.monotonic() + START_LIMIT
    while True:
        server = spawn(
            "postgres",
            command,
            folder=cluster.home,
            log=log,
            identity=cluster.identity,
            environment=_foreign_lock_pid(cluster.data),
        )
        async with ended_on_failure(server, signal.SIGINT):
            if await _responds_before(deadline, server, _dsn(cluster, port, "postgres")):
                return server
            if server.alive:
                reason = f"PostgreSQL did not respond within {START_LIMIT:.0f} s."
                raise CannotStart(reason, log=log, mend=BUSY)
        if time.monotonic() > deadline or not _STILL_STOPPING.search(server.last_lines()):
            raise CannotStart(f"PostgreSQL ended at its start: {server.last_words()}", log=log)
        await asyncio.sleep(0.2)


async def _responds_before(deadline: float, server: ServerProcess, dsn: str) -> bool:
    while server.alive and time.monotonic() < deadline:
        if await responds(dsn):
            return True
        await asyncio.sleep(0.02)
    return False


def _foreign_lock_pid(data: Path) -> dict[str, str]:
    """The environment that makes the server ignore a pid in its old lock file that is not a server's.

    After a crash the system may give that pid to any process, and the server would refuse to start
    while that process runs. It ignores the pid in PG_GRANDPARENT_PID, as pg_ctl uses it; whether
    another server has the data open is still checked by their shared memory.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return {}
    return {} if str(data) in command_of(pid) else {"PG_GRANDPARENT_PID": str(pid)}


def _dsn(cluster: Cluster, port: int, name: str) -> str:
    return f"postgresql://postgres:{cluster.password}@{LOOPBACK}:{port}/{name}"
