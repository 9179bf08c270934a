"""Waiting that ends early: when told to stop, or when there is news."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.telemetry import cause, log


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not longer than until told to stop."""
    await until_set(stop, seconds)


async def until_set(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, these seconds at most; say whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


@dataclass
class Interval:
    """Something to be done now and then, by a loop that comes by more often."""

    seconds: float
    _done_at: float = float("-inf")

    def due(self) -> bool:
        """Say whether it is time again; then it counts as done."""
        now = asyncio.get_running_loop().time()
        if now - self._done_at < self.seconds:
            return False
        self._done_at = now
        return True


async def every(
    seconds: float, deed: Callable[[], Awaitable[object]], stop: asyncio.Event, *, what: str
) -> None:
    """Do something at intervals until told to stop; a database that is away is waited for."""
    while not stop.is_set():
        try:
            await deed()
        except UNAVAILABLE as error:
            log.warning("postponed", what=what, error=cause(error))
        await pause(stop, seconds)
