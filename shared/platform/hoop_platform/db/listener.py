"""Sessions that LISTEN to the notifications of commits."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

_LOST: tuple[type[Exception], ...] = (
    asyncpg.exceptions.InterfaceError,
    asyncpg.exceptions.InternalClientError,
)
_NO_RESPONSE: tuple[type[Exception], ...] = (
    *_LOST,
    asyncpg.exceptions.PostgresError,
    OSError,
    TimeoutError,
)


class Listener:
    """A session that LISTENs. Called, it returns whether the session is alive.

    The caller does so now and then: it finds within a second that the connection is silently dead.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.pid: int = connection.get_server_pid()

    async def __call__(self) -> bool:
        try:
            await self._connection.execute("SELECT")
        except _NO_RESPONSE:
            return False
        return True


@asynccontextmanager
async def open_listener(
    dsn: str, channel: str, *, on_payload: Callable[[str], None], on_lost: Callable[[], None]
) -> AsyncIterator[Listener]:
    """LISTEN on a connection of its own: `on_payload` is called once a commit is visible.

    `on_lost` is called when the connection is cut. LISTEN needs a session: the DSN must not lead
    through a transaction pooler. Raises `ConnectionError` when the session is cut as it begins.
    """
    connection = await asyncpg.connect(dsn, timeout=5, command_timeout=1)

    def cut(_: object) -> None:
        on_lost()

    connection.add_termination_listener(cut)
    try:
        try:
            await connection.add_listener(
                channel, lambda _c, _p, _n, payload: on_payload(str(payload))
            )
        except _LOST as error:
            raise ConnectionError(str(error)) from error
        yield Listener(connection)
    finally:
        connection.remove_termination_listener(cut)
        connection.terminate()
