"""The database of booking, and what the requests of one process share: queues and round trips."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import asyncpg

from hoop_platform.db.database import Database, DatabaseGone, Tx

Item = TypeVar("Item")
Result = TypeVar("Result")
RunAll = Callable[[Tx | Database, Sequence[Item]], Awaitable[Sequence[Result]]]
"""Reads or commits for several requests in one statement: a result for each, in their order."""

MAX_WAIT = 5.0  # seconds
QUEUE_CONCURRENCY = 2
"""While one request waits for the database, another computes; a third would read outdated data."""
BATCH_CONCURRENCY = 2
"""While one batch is with the database, the requests of another compute and fill the next."""
BATCH_SIZE = 32


@dataclass(eq=False)
class _Entry(Generic[Item, Result]):
    """An item of a batch. `woken`: its result is there, or (True) it leads the next batch itself."""

    item: Item
    woken: asyncio.Future[bool]
    results: Sequence[Result] = ()
    error: BaseException | None = None


@dataclass
class _Batch(Generic[Item, Result]):
    """The requests for one kind of statement: those that wait, and how many batches are on their way."""

    waiting: list[_Entry[Item, Result]] = field(default_factory=list)
    running: int = 0


class BookingDatabase(Database):
    """A `Database` in which the requests of one process queue for a calendar, and go together.

    Queues and batches save work and protect nothing: versions do, which other processes raise as well.
    """

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        super().__init__(pool, dsn)
        self._queues = WeakValueDictionary[tuple[str, str], asyncio.Semaphore]()
        self._batches: dict[RunAll[Any, Any], _Batch[Any, Any]] = {}

    @asynccontextmanager
    async def turn(self, account_id: str, key: str) -> AsyncIterator[None]:
        """A turn in the queue of `key`, the id of a calendar or an appointment; first in, first out.

        Raises `TimeoutError` after `MAX_WAIT`.
        """
        queue = self._queues.setdefault((account_id, key), asyncio.Semaphore(QUEUE_CONCURRENCY))
        async with asyncio.timeout(MAX_WAIT) if queue.locked() else nullcontext():
            await queue.acquire()
        try:
            yield
        finally:
            queue.release()

    async def together(self, run: RunAll[Item, Result], item: Item) -> Result:
        """The result of `run` for the item, which goes with those that arrive at the same time.

        An error is that of the whole batch. The first request that finds no batch under way leads the
        next one, and hands over to one that arrived meanwhile.
        """
        batch: _Batch[Item, Result] = self._batches.setdefault(run, _Batch())
        entry = _Entry[Item, Result](item, asyncio.get_running_loop().create_future())
        batch.waiting.append(entry)
        if batch.running >= BATCH_CONCURRENCY:
            leads = await entry.woken
        else:
            batch.running += 1
            leads = True
            await asyncio.sleep(0)  # for those that arrive in this turn of the event loop
        if leads:
            await self._lead(batch, run, entry)
        if entry.error is not None:
            raise entry.error
        return entry.results[0]

    async def _lead(
        self, batch: _Batch[Item, Result], run: RunAll[Item, Result], own: _Entry[Item, Result]
    ) -> None:
        """Run what waits, then let the next one lead."""
        others = [one for one in batch.waiting if one is not own and not one.woken.done()]
        taken, batch.waiting = [own, *others[: BATCH_SIZE - 1]], others[BATCH_SIZE - 1 :]
        error: BaseException | None = DatabaseGone("the request that led the batch was cancelled")
        try:
            async with self.connection() as db:
                results = await run(db, [one.item for one in taken])
            for one, result in zip(taken, results, strict=True):
                one.results = (result,)
            error = None
        except Exception as failed:  # noqa: BLE001 -- raised again, by each request of the batch
            error = failed
        finally:
            for one in taken:
                one.error = error
                if not one.woken.done():
                    one.woken.set_result(False)
            batch.running -= 1
            for one in batch.waiting:
                if not one.woken.done():  # else its request was cancelled
                    batch.running += 1
                    one.woken.set_result(True)
                    break
