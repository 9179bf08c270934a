"""A `Database` whose every use is part of one transaction that the caller has begun."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hoop_platform.db.database import Database, Tx, notify_after_commit, savepoint


class SavepointTx(Database):
    """Used like a `Database`, one statement after the other, on one connection instead of a pool.

    Each statement and each transaction is a savepoint: one that fails leaves the others as they
    are, so code that tries again after `CONTENTION` works here as well.
    """

    def __init__(self, connection: Tx) -> None:  # there is no pool
        self._tx = connection
        self.notified = False
        """Whether subscribers of every commit would have been notified: the transaction's owner does it."""

    @asynccontextmanager
    async def transaction(self, *, notify: bool = True) -> AsyncIterator[Tx]:
        async with self._connection() as connection:
            yield connection
        if notify:
            self.notified = True

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Tx | Database]:
        yield self  # each statement is a savepoint here

    def notify(self, *signals: str) -> None:
        """Notify once the transaction is committed, by the signals recorded on it."""
        self.notified = self.notified or not signals
        for signal in signals:
            notify_after_commit(self._tx, signal)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Tx]:
        async with savepoint(self._tx):
            try:
                yield self._tx
            except TimeoutError:
                self._tx.terminate()  # as in any other transaction
                raise
