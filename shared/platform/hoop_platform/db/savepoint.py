"""A database whose every use becomes part of one transaction that somebody else has begun."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hoop_platform.db.database import Database, Tx


class SavepointTx(Database):
    """To be used like a `Database`, one statement after the other; there is no pool behind it.

    Each statement and each transaction is a savepoint: one that fails leaves the others as they
    are, so whoever tries again after `CONTENTION` may do so here as well.
    """

    def __init__(self, connection: Tx) -> None:  # nothing of a pool is made
        self._pinned = connection
        self.has_news = False
        """Whether anybody would have been woken: the one who commits must do it."""

    @asynccontextmanager
    async def transaction(self, *, notify: bool = True) -> AsyncIterator[Tx]:
        async with self._connection() as connection:
            yield connection
        if notify:
            self.notify()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Tx | Database]:
        yield self  # each statement is a savepoint here

    def notify(self) -> None:
        self.has_news = True

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Tx]:
        async with self._pinned.transaction():
            try:
                yield self._pinned
            except TimeoutError:
                self._pinned.terminate()  # as in any other transaction
                raise
