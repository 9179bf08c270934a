"""The periodic work of booking: releasing expired holds."""

import asyncio
from collections.abc import Sequence

from booking.config import BookingSettings
from booking.handlers.holds import HELD, release_expired
from booking.store import holds
from hoop_platform.db.database import TRANSIENT
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.timing import every, log_failure, until_set

LONGEST_PAUSE = 10.0
"""Seconds after which holds of other processes are noticed."""
SHORTEST_PAUSE = 2.0
DELETE_SECONDS = 600.0


def jobs(runtime: Runtime[BookingSettings]) -> Sequence[BackgroundTask]:
    """The background tasks of a running service."""

    async def delete_gone(stop: asyncio.Event) -> None:
        async def delete() -> None:
            await holds.delete_old_gone_holds(runtime.db)

        await every(DELETE_SECONDS, delete, stop, what="ids of former holds")

    async def release_holds(stop: asyncio.Event) -> None:
        held = runtime.db.subscribe(asyncio.Event(), HELD)
        while not stop.is_set():
            held.clear()
            await until_set(held, await _release(runtime), stop=stop)

    return [release_holds, delete_gone]


async def _release(runtime: Runtime[BookingSettings]) -> float:
    """Release what has expired; returns the seconds until the next hold expires."""
    now = runtime.clock.now()
    try:
        expiry = await holds.get_next_expiry(runtime.db)
        if expiry is not None and expiry <= now:
            await release_expired(runtime.db, now=now)
            return SHORTEST_PAUSE
    except Exception as error:  # noqa: BLE001 -- requests go on, and release what is in their way
        log_failure("expired holds are released later", error, expected=TRANSIENT)
        return SHORTEST_PAUSE
    if expiry is None:
        return LONGEST_PAUSE
    return min((expiry - now).total_seconds(), LONGEST_PAUSE)
