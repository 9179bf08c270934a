"""A fair queue per calendar or appointment, so that requests of one process do not compete in vain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from weakref import WeakValueDictionary

from hoop_platform.db.database import Database
from hoop_platform.db.savepoint import SavepointTx

MAX_WAIT = 5.0  # seconds
CONCURRENCY = 2
"""While one request waits for the database, another computes; a third would read outdated data."""

_queues: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()
"""The queues in which there is a request, by account and key."""


@asynccontextmanager
async def turn(database: Database, account_id: str, key: str) -> AsyncIterator[None]:
    """A turn in the queue of `key`, the id of a calendar or an appointment; first in, first out.

    The queue saves work and protects nothing: versions do, which other processes raise as well.
    Raises `TimeoutError` after `MAX_WAIT`. Within a transaction there is no queue: the request in
    front might wait for the locks of that transaction.
    """
    if isinstance(database, SavepointTx):
        yield
        return
    queue = _queues.setdefault((account_id, key), asyncio.Semaphore(CONCURRENCY))
    async with asyncio.timeout(MAX_WAIT) if queue.locked() else nullcontext():
        await queue.acquire()
    try:
        yield
    finally:
        queue.release()
