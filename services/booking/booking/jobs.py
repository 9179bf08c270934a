"""What booking does without being asked: it gives back the time of holds that ran out."""

import asyncio
from collections.abc import Sequence

from booking.handlers.holds import release_expired
from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.telemetry import cause, log
from hoop_platform.timing import pause

EVERY_SECONDS = 2.0


def jobs(runtime: Runtime) -> Sequence[BackgroundTask]:
    """One: whatever else booking does happens when somebody asks for it."""

    async def release_holds(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await release_expired(runtime.db, now=runtime.clock.now())
            except UNAVAILABLE as error:
                log.warning("holds wait for postgres", error=cause(error))
            await pause(stop, EVERY_SECONDS)

    return [release_holds]
