"""Those of one process who want something of the same calendar take turns, lest they work in vain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from weakref import WeakValueDictionary

from hoop_platform.db.database import Database
from hoop_platform.db.savepoint import SavepointTx

LONGEST_WAIT = 5.0  # seconds
AT_ONCE = 2
"""While one waits for the database, another computes. More would only decide on what is old by then."""

_turns: WeakValueDictionary[tuple[str, str], asyncio.Semaphore] = WeakValueDictionary()
"""Of what somebody is at, or waits for."""


@asynccontextmanager
async def turn(database: Database, account_id: str, wanted: str) -> AsyncIterator[None]:
    """A turn at what is wanted: a calendar's time, or an appointment. First come, first served.

    It spares work and protects nothing: that the versions do, which other processes raise, too.
    `TimeoutError` after `LONGEST_WAIT`. Nobody waits inside of somebody's transaction, whose locks
    the one in front may be waiting for.
    """
    if isinstance(database, SavepointTx):
        yield
        return
    one = _turns.setdefault((account_id, wanted), asyncio.Semaphore(AT_ONCE))
    async with asyncio.timeout(LONGEST_WAIT) if one.locked() else nullcontext():
        await one.acquire()
    try:
        yield
    finally:
        one.release()
