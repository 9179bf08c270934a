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
BATCHES = 2
"""Batches of one kind on their way at a time: while one is with the database, another fills."""


@dataclass(eq=False)
class _Entry(Generic[Item, Result]):
    """An item of a batch, and its result or its error, once it is finished."""

    item: Item
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is finished, or when its request is to run the next batch."""
    results: Sequence[Result] = ()
    error: BaseException | None = None
    finished: bool = False
    leads: bool = False


@dataclass
class _Batches(Generic[Item, Result]):
    """The requests for one kind of statement that wait, and how many batches are on their way."""

    waiting: list[_Entry[Item, Result]] = field(default_factory=list)
    running: int = 0

    def lead_next(self, former: _Entry[Item, Result]) -> None:
        """Let requests that wait run the next batches; `former` leads none any more."""
        if former.leads:
            former.leads = False
            self.running -= 1
        free = BATCHES - self.running
        for one in [each for each in self.waiting if not each.leads][:free]:
            one.leads = True
            self.running += 1
            one.woken.set()


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

        Some batches of each kind are on their way at a time, so `run` must not wait for locks. Each is
        run by the first of its requests. An error is that of the whole batch.
        """
        batches: _Batches[Item, Result] = self._batches.setdefault(run, _Batches())
        entry = _Entry[Item, Result](item)
        batches.waiting.append(entry)
        batches.lead_next(entry)
        try:
            while not entry.finished:
                await entry.woken.wait()
                entry.woken.clear()
                if entry.leads:
                    await asyncio.sleep(0)  # for those that arrive in this turn of the event loop
                    await self._run_batch(batches, run)
                    batches.lead_next(entry)
        finally:
            if entry in batches.waiting:  # it was cancelled
                batches.waiting.remove(entry)
            batches.lead_next(entry)
        if entry.error is not None:
            raise entry.error
        return entry.results[0]

    async def _run_batch(self, batches: _Batches[Item, Result], run: RunAll[Item, Result]) -> None:
        """Run what waits, in the order of arrival; nothing, if another batch has taken it along."""
        taken, batches.waiting = batches.waiting[:BATCH_SIZE], batches.waiting[BATCH_SIZE:]
        error: BaseException | None = DatabaseGone("the request that led the batch was cancelled")
        try:
            if taken:
                async with self.connection() as db:
                    results = await run(db, [one.item for one in taken])
                for one, result in zip(taken, results, strict=True):
                    one.results = (result,)
            error = None
        except Exception as failed:  # noqa: BLE001 -- raised again, by each request of the batch
            error = failed
        finally:
            for one in taken:
                one.error, one.finished = error, True
                one.woken.set()
