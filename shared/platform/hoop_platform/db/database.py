"""PostgreSQL: a pool in which nothing waits for ever, and transactions that notify their subscribers."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Self, cast

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy

from hoop_platform import ids
from hoop_platform.db.listener import Listener, open_listener
from hoop_platform.telemetry import log

Tx = asyncpg.Connection | PoolConnectionProxy
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
"""Postgres cannot be reached or is overloaded: trying again makes sense."""


class LeaseLost(Exception):
    """The lease is lost, or what it was taken for has changed: nothing more may be done under it."""


class DatabaseGone(ConnectionError):
    """The connection was cut while it was used, or the pool is being closed: one of `UNAVAILABLE`."""


CONTENTION: tuple[type[Exception], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

TRANSIENT: tuple[type[Exception], ...] = (*UNAVAILABLE, *CONTENTION)
"""Nothing is wrong with what was asked: Postgres is away, or somebody else holds a lock."""

AtEnd = Callable[[bool], None]

_NO_RESPONSE: tuple[type[Exception], ...] = (asyncpg.exceptions.InterfaceError, *UNAVAILABLE)

_CUT = re.compile(r"connection is closed|pool is clos|connection has been released")

_SERVER_SETTINGS = {
    "statement_timeout": "8000",
    "lock_timeout": "5000",
    "idle_in_transaction_session_timeout": "15000",
    "timezone": "UTC",
}


class _Session(asyncpg.Connection):
    """A connection without session state, which needs no reset: one round trip less for each use."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.database: Database
        """Whose transaction the connection is in."""
        self._at_end: list[AtEnd] = []
        self.signals: set[str] = set()

    def get_reset_query(self) -> str:
        return ""

    def at_end(self, call: AtEnd) -> None:
        """Call this when the transaction has ended, with whether it was committed."""
        self._at_end.append(call)

    def roll_back_to(self, count: int) -> None:
        """A savepoint was rolled back: for the calls since the first `count`, nothing was committed."""
        undone, self._at_end[count:] = self._at_end[count:], []
        _call(undone, committed=False)

    @property
    def calls_at_end(self) -> int:
        """How many calls wait for the end."""
        return len(self._at_end)

    def begin(self, database: "Database") -> list[AtEnd]:
        """A transaction of this database begins; returns the calls for its end, to be filled."""
        self.database = database
        self._at_end = []
        return self._at_end


async def _set_codecs(connection: asyncpg.Connection) -> None:
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


def _call(at_end: Sequence[AtEnd], committed: bool) -> None:
    """Each, whatever the others do: the transaction has ended, and its caller cannot undo it."""
    for call in at_end:
        try:
            call(committed)
        except Exception as error:  # noqa: BLE001
            log.error("a call at the end of a transaction failed", exc_info=error)


def database_of(db: Tx) -> "Database":
    """The database whose transaction this is."""
    return cast("_Session", db).database


def at_end(db: Tx, call: AtEnd) -> None:
    """Call this when the transaction has ended, with whether it was committed."""
    cast("_Session", db).at_end(call)


@asynccontextmanager
async def savepoint(db: Tx) -> AsyncIterator[None]:
    """A part of a transaction that can fail alone; what was to be called at the end is called then."""
    session = cast("_Session", db)
    calls = session.calls_at_end
    try:
        async with db.transaction():
            yield
    except BaseException:
        session.roll_back_to(calls)
        raise


class Database:
    """One service's database. `uuid` columns are 26-character ids, `jsonb` are Python values."""

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        self.pool = pool
        self.dsn = dsn
        self.workers: list[Any] = []
        """The workers of this process that lease desired states as they are stored."""
        self._subscribers: defaultdict[str | None, list[asyncio.Event]] = defaultdict(list)

    @classmethod
    async def open(cls, dsn: str, *, name: str, pool_size: int = 10) -> Self:
        """Create the pool; the first use connects, so a service starts while Postgres is down."""
        pool = asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=pool_size,
            timeout=5,
            command_timeout=10,
            max_inactive_connection_lifetime=300,
            connection_class=_Session,
            init=_set_codecs,
            server_settings={**_SERVER_SETTINGS, "application_name": name},
        )
        return cls(await pool, dsn)

    async def close(self) -> None:
        """Close the pool; connections that hang are terminated after five seconds."""
        try:
            await asyncio.wait_for(self.pool.close(), 5)
        except TimeoutError:
            self.pool.terminate()

    def subscribe(self, event: asyncio.Event, signal: str | None = None) -> asyncio.Event:
        """Set `event` after every commit that carries `signal`, so that its owner need not look for work.

        Without a signal: after every commit of this process.
        """
        self._subscribers[signal].append(event)
        return event

    @asynccontextmanager
    async def transaction(self, *, notify: bool = True) -> AsyncIterator[Tx]:
        """A transaction; after the commit, subscribers of its signals are notified.

        So are those of every commit, unless `notify` is False.
        """
        async with self._connection() as connection:
            committed, at_end = False, cast("_Session", connection).begin(self)
            try:
                async with connection.transaction():
                    try:
                        yield connection
                    except BaseException as error:
                        _signals(connection).clear()
                        if isinstance(error, TimeoutError):
                            connection.terminate()  # else the rollback would wait as long again
                        raise
                committed = True
            finally:
                _call(at_end, committed)
        if notify:
            self._set(None)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Tx | Database"]:
        """One connection for several statements, each a transaction: cheaper than acquiring for each."""
        async with self._connection() as connection:
            yield connection

    def notify(self, *signals: str) -> None:
        """Notify the subscribers of these signals now; of all, if none is named."""
        for signal in signals or list(self._subscribers):
            self._set(signal)

    def _deliver(self, signals: set[str]) -> Sequence[str]:
        """Notify the subscribers of these signals; returns those that have none in this process."""
        for signal in signals:
            self._set(signal)
        unheard = [signal for signal in signals if not self._subscribers[signal]]
        signals.clear()
        return unheard

    def _set(self, signal: str | None) -> None:
        for event in self._subscribers[signal]:
            event.set()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Tx]:
        """A pooled connection. The many errors of a connection that was cut become `UNAVAILABLE` ones."""
        try:
            async with self.pool.acquire(timeout=5) as connection:
                signals = _signals(connection)
                try:
                    yield connection
                except (asyncpg.exceptions.InternalClientError, TimeoutError):
                    connection.terminate()  # no response or half of one: the connection is unusable
                    raise
                finally:  # also after a commit that failed, for it may have come through
                    unheard = self._deliver(signals)
                await _notify_others(connection, unheard)
        except asyncpg.exceptions.InternalClientError as error:
            raise DatabaseGone(str(error)) from error
        except asyncpg.exceptions.InterfaceError as error:
            if type(error) is asyncpg.exceptions.InterfaceError and _CUT.search(str(error)):
                raise DatabaseGone(str(error)) from error
            raise

    def listen(
        self, channel: str, *, on_payload: Callable[[str], None], on_lost: Callable[[], None]
    ) -> AbstractAsyncContextManager[Listener]:
        """LISTEN on a connection of its own; see `open_listener`. Raises `UNAVAILABLE` errors."""
        return open_listener(self.dsn, channel, on_payload=on_payload, on_lost=on_lost)

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


def notify_after_commit(db: Tx | Database, signal: str) -> None:
    """Notify the subscribers of `signal` once the transaction of `db` is committed; never after a rollback.

    Outside of a transaction: once the connection is given back, or at once where `db` is the pool. A
    signal without a subscriber in this process goes to others, as a NOTIFY on the channel of its name.
    """
    if isinstance(db, Database):
        db.notify(signal)
    else:
        _signals(db).add(signal)


async def _notify_others(connection: Tx, signals: Sequence[str]) -> None:
    """NOTIFY other processes, after the commit: a command has no relay of its own."""
    with suppress(*_NO_RESPONSE, asyncpg.exceptions.InternalClientError):
        for signal in signals:
            await connection.execute("SELECT pg_notify($1, 'rows')", signal)


def _signals(connection: Tx) -> set[str]:
    """The signals recorded on a connection; a connection without a pool has no subscribers."""
    found: set[str] = getattr(connection, "signals", set())
    return found
