"""Postgres: a pool that never waits for ever, transactions that wake who waits, migrations."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any, Self

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from shared import ids
from shared.config import with_database

Connection = asyncpg.Connection | PoolConnectionProxy
Row = asyncpg.Record

UNAVAILABLE: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""Postgres is not there, or not now: nobody's request was wrong, and trying again makes sense."""


class DatabaseGone(ConnectionError):
    """The connection was cut while it was used, or the pool is being closed: one of `UNAVAILABLE`."""


CONTENTION: tuple[type[Exception], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

_NO_ANSWER: tuple[type[Exception], ...] = (asyncpg.exceptions.InterfaceError, *UNAVAILABLE)

_CUT = re.compile(r"connection is closed|pool is clos|connection has been released")

_SERVER_SETTINGS = {
    "statement_timeout": "8000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
    "timezone": "UTC",
}


class _Session(asyncpg.Connection):
    """Sets no session state, hence needs no reset: one round trip less for each use."""

    def get_reset_query(self) -> str:
        return ""


async def _teach(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=ids.unspell, decoder=ids.spell, format="binary"
    )
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda raw: orjson.loads(raw[1:]),
        format="binary",
    )


class Database:
    """One service's database. `uuid` columns are 26-character ids, `jsonb` are Python values."""

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        self.pool = pool
        self.dsn = dsn
        self._waiting: list[asyncio.Event] = []

    @classmethod
    async def open(cls, dsn: str, *, name: str, pool_size: int = 10) -> Self:
        """Prepare the pool; the first use connects, so a service starts while Postgres is down."""
        pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=pool_size,
            timeout=5,
            command_timeout=10,
            max_inactive_connection_lifetime=60,
            connection_class=_Session,
            init=_teach,
            server_settings={**_SERVER_SETTINGS, "application_name": name},
        )
        return cls(await pool, dsn)

    async def close(self) -> None:
        """Close the pool; connections that hang are cut after five seconds."""
        try:
            await asyncio.wait_for(self.pool.close(), 5)
        except TimeoutError:
            self.pool.terminate()

    def wakes(self, event: asyncio.Event) -> asyncio.Event:
        """Set `event` after every commit here: who follows up need not poll fast."""
        self._waiting.append(event)
        return event

    @asynccontextmanager
    async def transaction(self, *, wakes: bool = True) -> AsyncIterator[Connection]:
        """All or nothing; whoever waits for news is woken after the commit, unless there is none."""
        async with self._connection() as connection, connection.transaction():
            try:
                yield connection
            except TimeoutError:
                connection.terminate()  # else the rollback would be waited for as long again
                raise
        if wakes:
            self.woken()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator["Connection | Database"]:
        """For several statements in a row, each by itself: cheaper than asking for each."""
        async with self._connection() as connection:
            yield connection

    def woken(self) -> None:
        """Wake the relay and the jobs of this process."""
        for event in self._waiting:
            event.set()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """One of the pool. A connection that was cut shows in many ways; all of them are `UNAVAILABLE`."""
        try:
            async with self.pool.acquire(timeout=5) as connection:
                try:
                    yield connection
                except (asyncpg.exceptions.InternalClientError, TimeoutError):
                    connection.terminate()  # no answer, or half of one: of no use to anybody
                    raise
        except asyncpg.exceptions.InternalClientError as error:
            raise DatabaseGone(str(error)) from error
        except asyncpg.exceptions.InterfaceError as error:
            if type(error) is asyncpg.exceptions.InterfaceError and _CUT.search(str(error)):
                raise DatabaseGone(str(error)) from error
            raise

    @asynccontextmanager
    async def listens(
        self, channel: str, *, heard: Callable[[str], None], lost: Callable[[], None]
    ) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """LISTEN on a connection of its own: `heard` is given each payload once its commit is visible.

        `lost` is called at once when the connection is cut. Yields a question that must be asked now
        and then: whether it is still there; one that is silently dead is found out by it within a
        second. It needs a session: the DSN must not lead through a pooler that lends connections
        for one transaction.
        """
        connection = await asyncpg.connect(self.dsn, timeout=5, command_timeout=1)

        def cut(_: object) -> None:
            lost()

        async def alive() -> bool:
            try:
                await connection.execute("SELECT")
            except _NO_ANSWER:
                return False
            return True

        connection.add_termination_listener(cut)
        try:
            await connection.add_listener(channel, lambda _c, _p, _n, payload: heard(str(payload)))
            yield alive
        finally:
            connection.remove_termination_listener(cut)
            connection.terminate()

    async def fetch(self, sql: str, *args: object) -> Sequence[Row]:
        async with self._connection() as connection:
            rows: Sequence[Row] = await connection.fetch(sql, *args)
            return rows

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        async with self._connection() as connection:
            found: Row | None = await connection.fetchrow(sql, *args)
            return found

    async def fetchval(self, sql: str, *args: object) -> Any:  # one column of any type
        async with self._connection() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        async with self._connection() as connection:
            status: str = await connection.execute(sql, *args)
            return status


class MigrationChanged(Exception):
    """A migration that was applied differs from the file of its name: files are never edited."""


def migrations(*packages: str, machinery: bool = True) -> list[tuple[str, str]]:
    """`(name, sql)` in order: the machinery's first, then each package's `migrations/`."""
    folders = [("shared", files("shared") / "schema")] if machinery else []
    folders += [(package, files(package) / "migrations") for package in packages]
    found = []
    for package, folder in folders:
        texts = {f.name: f.read_text() for f in folder.iterdir() if f.name.endswith(".sql")}
        found += [(f"{package}/{name}", texts[name]) for name in sorted(texts)]
    return found


async def migrate(dsn: str, *packages: str, machinery: bool = True) -> list[str]:
    """Create the database if it is missing and apply what is new; answers the names applied.

    `machinery`: whether it is the database of a service. Forward only. One runner at a time (advisory lock); each file in a transaction of its own.
    """
    await _create(dsn)
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=600)
    try:
        await connection.execute("SELECT pg_advisory_lock(727001)")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY, checksum text"
            " NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        wanted = migrations(*packages, machinery=machinery)
        return [name for name, sql in wanted if await _apply(connection, name, sql)]
    finally:
        await connection.close(timeout=5)


async def _apply(connection: Connection, name: str, sql: str) -> bool:
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    known = await connection.fetchval(
        "SELECT checksum FROM schema_migrations WHERE version = $1", name
    )
    if known == checksum:
        return False
    if known is not None:
        raise MigrationChanged(f"{name} was applied in another form; write a new file instead")
    async with connection.transaction():
        await connection.execute(sql)
        await connection.execute(
            "INSERT INTO schema_migrations (version, checksum) VALUES ($1, $2)", name, checksum
        )
    return True


async def _create(dsn: str) -> None:
    name = dsn.partition("?")[0].rpartition("/")[2]
    try:
        await (await asyncpg.connect(dsn, timeout=10)).close(timeout=5)
    except asyncpg.InvalidCatalogNameError:
        server = await asyncpg.connect(with_database(dsn, "postgres"), timeout=10)
        try:
            await server.execute(f'CREATE DATABASE "{name}"')
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            pass  # somebody else was faster: that is what we wanted
        finally:
            await server.close(timeout=5)
