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
CONCURRENCY = 2
"""While one request waits for the database, another computes; a third would read outdated data."""
BATCH_SIZE = 32


@dataclass(eq=False)
class _Entry(Generic[Item, Result]):
    """An item of a batch, and its result or its error, once there is one."""

    item: Item
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is finished, or when its request is the one that runs the next batch."""
    results: Sequence[Result] = ()
    error: BaseException | None = None
    leads: bool = False


@dataclass
class _Batches(Generic[Item, Result]):
    """The requests for one kind of statement: those that wait while a batch is on its way."""

    waiting: list[_Entry[Item, Result]] = field(default_factory=list)
    running: bool = False


class BookingDatabase(Database):
    """A `Database` in which the requests of one process queue for a calendar, and go together.

    Queues and batches save work and protect nothing: versions do, which other processes raise as well.
    """

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        super().__init__(pool, dsn)
        self._queues = WeakValueDictionary[tuple[str, str], asyncio.Semaphore]()
        self._batches: dict[RunAll[Any, Any], _Batches[Any, Any]] = {}

    @asynccontextmanager
    async def turn(self, account_id: str, key: str) -> AsyncIterator[None]:
        """A turn in the queue of `key`, the id of a calendar or an appointment; first in, first out.

        Raises `TimeoutError` after `MAX_WAIT`.
        """
        queue = self._queues.setdefault((account_id, key), asyncio.Semaphore(CONCURRENCY))
        async with asyncio.timeout(MAX_WAIT) if queue.locked() else nullcontext():
            await queue.acquire()
        try:
            yield
        finally:
            queue.release()

    async def together(self, run: RunAll[Item, Result], item: Item) -> Result:
        """The result of `run` for the item, which goes with those that arrive at the same time.

        One batch of each kind is on its way at a time, so `run` must not wait for locks. The first
        request leads the first batch; then one of those that arrived meanwhile leads the next. An
        error is that of the whole batch.
        """
        batches: _Batches[Item, Result] = self._batches.setdefault(run, _Batches())
        entry = _Entry[Item, Result](item)
        batches.waiting.append(entry)
        entry.leads, batches.running = not batches.running, True
        try:
            if not entry.leads:
                await entry.woken.wait()
            if entry.leads:
                await asyncio.sleep(0)  # for those that arrive in this turn of the event loop
                await self._run_batch(batches, run)
        finally:
            if entry in batches.waiting:  # it was cancelled
                batches.waiting.remove(entry)
            if entry.leads and batches.waiting:
                batches.waiting[0].leads = True
                batches.waiting[0].woken.set()
            elif entry.leads:
                batches.running = False
        if entry.error is not None:
            raise entry.error
        return entry.results[0]

    async def _run_batch(self, batches: _Batches[Item, Result], run: RunAll[Item, Result]) -> None:
        """Run what waits, in the order of arrival: the entry that leads is the first."""
        taken, batches.waiting = batches.waiting[:BATCH_SIZE], batches.waiting[BATCH_SIZE:]
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
                one.woken.set()
