"""Waiting with a stop event, intervals, and jobs that outlive their failures."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hoop_platform.db.database import TRANSIENT
from hoop_platform.telemetry import cause, log

T = TypeVar("T")

PAUSE_SECONDS = 0.5
"""How long an interrupted loop waits before it goes on."""
UNEXPECTED_PAUSE_SECONDS = 5.0
"""The same after an error that no outage explains: it is likely to come again at once."""
INSIST_SECONDS = 0.2
"""How soon something is stored again that must not be lost."""


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
    """Run a job every `seconds` until `stop`. Whatever it raises is logged, and does not end the service.

    A process that ended here would end at each start again, for as long as the cause is there.
    """
    while not stop.is_set():
        try:
            await job()
        except Exception as error:  # noqa: BLE001 -- the next run may succeed, and others depend on the process
            log_failure("postponed", error, expected=TRANSIENT, what=what)
        await pause(stop, seconds)


async def insist(store: Callable[[], Awaitable[T]], *, within: float, what: str) -> T:
    """Store what cannot be had again, trying for so many seconds; then raise.

    `store` may run once more although its commit has come through: only the response was lost.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + within
    while True:
        try:
            return await store()
        except TRANSIENT as error:
            if loop.time() > until:
                raise
            log.warning("not stored yet", what=what, error=cause(error))
            await asyncio.sleep(INSIST_SECONDS)


async def pause_after(
    error: Exception,
    stop: asyncio.Event,
    *,
    event: str,
    expected: tuple[type[Exception], ...],
    seconds: float = PAUSE_SECONDS,
) -> None:
    """Log what has interrupted a loop of the platform, and wait before the loop goes on."""
    log_failure(event, error, expected=expected)
    await pause(stop, seconds if isinstance(error, expected) else UNEXPECTED_PAUSE_SECONDS)


def log_failure(
    event: str, error: Exception, *, expected: tuple[type[Exception], ...], **fields: object
) -> None:
    """Log an error: a warning if it is an expected one, else with its traceback."""
    if isinstance(error, expected):
        log.warning(event, error=cause(error), **fields)
    else:
        log.error(event, error=cause(error), exc_info=error, **fields)
