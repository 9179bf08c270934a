"""The periodic work of booking: releasing expired holds."""

import asyncio
from collections.abc import Sequence

from booking.config import BookingSettings
from booking.handlers.holds import release_expired
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.timing import every

INTERVAL = 2.0  # seconds


def jobs(runtime: Runtime[BookingSettings]) -> Sequence[BackgroundTask]:
    """The background tasks of a running service."""

    async def release_holds(stop: asyncio.Event) -> None:
        async def release() -> None:
            await release_expired(runtime.db, now=runtime.clock.now())

        await every(INTERVAL, release, stop, what="expired holds")

    return [release_holds]
