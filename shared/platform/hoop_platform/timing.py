"""Waiting with a stop event, intervals, and periodic jobs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.telemetry import cause, log


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for these seconds, or until `stop` is set."""
    await until_set(stop, seconds)


async def until_set(
    event: asyncio.Event, seconds: float, *, stop: asyncio.Event | None = None
) -> bool:
    """Wait for the event, these seconds at most, or until `stop`; returns whether the event is set."""
    loop = asyncio.get_running_loop()
    waits = [loop.create_task(one.wait()) for one in (event, stop) if one is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return event.is_set()


@dataclass
class Interval:
    """Tells a loop that runs more often when something is due again."""

    seconds: float
    _done_at: float = float("-inf")

    def due(self) -> bool:
        """Whether the interval has passed; if so, it starts again."""
        now = asyncio.get_running_loop().time()
        if now - self._done_at < self.seconds:
            return False
        self._done_at = now
        return True


async def every(
    seconds: float, job: Callable[[], Awaitable[object]], stop: asyncio.Event, *, what: str
) -> None:
    """Run a job every `seconds` until `stop`; one that finds the database away is postponed."""
    while not stop.is_set():
        try:
            await job()
        except UNAVAILABLE as error:
            log.warning("postponed", what=what, error=cause(error))
        await pause(stop, seconds)
