"""The background task that invalidates the cache: it listens to the notifications of every commit."""

import asyncio
from collections.abc import Sequence

from availability.config import AvailabilitySettings
from availability.store.cache import ViewCache
from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.telemetry import cause, log
from hoop_platform.timing import pause, until_set

CHANNEL = "read_model"
RETRY_SECONDS = 0.2
CHECK_SECONDS = 0.5


def background_tasks(runtime: Runtime[AvailabilitySettings]) -> Sequence[BackgroundTask]:
    """The tasks that run as long as the service."""
    return (NotifyListener(runtime).run,)


class NotifyListener:
    """LISTENs on a connection of its own; while the connection is lost, nothing may be cached."""

    def __init__(self, runtime: Runtime[AvailabilitySettings]) -> None:
        self._database = runtime.db
        self._cache = ViewCache.of(runtime.db, intervals=runtime.settings.cache_intervals)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._listen(stop)
            except UNAVAILABLE as error:
                log.warning("not listening", error=cause(error))
                await pause(stop, RETRY_SECONDS)

    async def _listen(self, stop: asyncio.Event) -> None:
        cache = self._cache
        async with self._database.listen(
            CHANNEL, on_payload=cache.on_notification, on_lost=cache.stop_listening
        ) as alive:
            cache.start_listening()
            try:
                while await alive() and not await until_set(stop, CHECK_SECONDS):
                    pass
            finally:
                cache.stop_listening()
