"""PostgreSQL on this machine, without root and without a container: started, stopped, started again."""

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
from local.servers.process import CannotStart, Server, command_of, disown, end_leftover, own, spawn

PORT = 5432  # where the rest of the world expects it
START_LIMIT = 60.0  # seconds; recovery after a crash is included

EVERYWHERE = {
    "max_connections": "300",
    "log_lock_waits": "on",
    "log_line_prefix": "%m [%p] %d %a ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
HERE = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket's path may have 107 bytes only
}
THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

_STILL_LEAVING = re.compile(r"pre-existing shared memory block|lock file \S+ already exists")
_NOT_NOW = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
)


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A running server of ours."""

    base: Path
    port: int
    durable: bool
    cluster: Cluster
    server: Server

    @property
    def dsn(self) -> str:
        """The address of the database `postgres`, as superuser."""
        return self.dsn_for("postgres")

    @property
    def origin(self) -> str:
        """Whose binaries run."""
        return self.cluster.binaries.origin

    @property
    def pid(self) -> int:
        """The operating system's id of the server's first process."""
        return self.server.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs; ask before you let go of a dead one, so that it is reaped."""
        return self.server.alive

    @property
    def log(self) -> Path:
        """What the server wrote: lock waits and deadlocks are there."""
        return self.server.log

    def dsn_for(self, name: str) -> str:
        """Give the address of a database on this server, whether it exists or not."""
        return _dsn(self.cluster, self.port, name)

    async def stop(self) -> None:
        """End it: sessions are cut, what is committed stays. Stopping a dead one is fine."""
        await self.server.stop(signal.SIGINT)
        if not self.durable:
            unprivileged.forget(self.base)
        disown(self.base)


async def start(base: Path, *, port: int, durable: bool) -> Postgres:
    """Start the server whose data lie in `base`, made at the first start.

    `durable` data survive a crash of the machine; without it the disk is never waited for, which
    is for tests. Raises `CannotStart` with the reason and its mend.
    """
    base = own(base)
    cluster = await asyncio.to_thread(prepare, base, durable=durable)
    await end_leftover("postgres", cluster.home, signal.SIGINT)
    await until_free(port)
    server = await _start(cluster, base / "postgres.log", port=port, durable=durable)
    return Postgres(base=base, port=port, durable=durable, cluster=cluster, server=server)


async def answers(dsn: str) -> bool:
    """Say whether the server takes connections now."""
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except _NOT_NOW:
        return False
    await connection.close(timeout=5)
    return True


async def _start(cluster: Cluster, log: Path, *, port: int, durable: bool) -> Server:
    """Start it; again for a while, when what is left of a killed one is still leaving."""
    settings = EVERYWHERE | HERE | {"port": str(port)} | ({} if durable else THROW_AWAY)
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
            environment=_not_a_rival(cluster.data),
        )
        if await _answers_before(deadline, server, _dsn(cluster, port, "postgres")):
            return server
        words = server.last_words()
        await server.stop(signal.SIGINT)
        if time.monotonic() > deadline or not _STILL_LEAVING.search(words):
            raise CannotStart(f"PostgreSQL did not start. The end of {log}:\n{words}")
        await asyncio.sleep(0.2)


async def _answers_before(deadline: float, server: Server, dsn: str) -> bool:
    while server.alive and time.monotonic() < deadline:
        if await answers(dsn):
            return True
        await asyncio.sleep(0.02)
    return False


def _not_a_rival(data: Path) -> dict[str, str]:
    """Tell the server when the pid in its old lock file belongs to something else by now.

    After a crash the system may give that number to any process, and the server would refuse to
    start as long as that one lives. It overlooks the pid that it is told to be its grandparent's,
    which is how pg_ctl tells it; that nobody else serves the data it still checks by their shared
    memory. So its lock file need never be removed by hand.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return {}
    return {} if str(data) in command_of(pid) else {"PG_GRANDPARENT_PID": str(pid)}


def _dsn(cluster: Cluster, port: int, name: str) -> str:
    return f"postgresql://postgres:{cluster.password}@{LOOPBACK}:{port}/{name}"
