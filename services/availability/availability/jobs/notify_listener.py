"""The background task that invalidates the cache: it listens to the notifications of every commit."""

import asyncio
from collections.abc import Sequence

from availability.config import AvailabilitySettings
from availability.store.cache import ViewCache
from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.db.listener import Listener
from hoop_platform.runtime import Runtime
from hoop_platform.service.service import BackgroundTask
from hoop_platform.timing import pause, pause_after, until_set

CHANNEL = "read_model"
RETRY_SECONDS = 0.2
CHECK_SECONDS = 0.5
IDLE_SECONDS = 10.0
"""After so long without a request nothing is cached any more, and the connection is not checked."""


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
            except Exception as error:  # noqa: BLE001 -- nothing is cached meanwhile; views are read from Postgres
                await pause_after(
                    error,
                    stop,
                    event="not listening",
                    expected=UNAVAILABLE,
                    seconds=RETRY_SECONDS,
                )

    async def _listen(self, stop: asyncio.Event) -> None:
        cache = self._cache
        async with self._database.listen(
            CHANNEL, on_payload=cache.on_notification, on_lost=cache.stop_listening
        ) as alive:
            try:
                while not stop.is_set() and await alive():
                    cache.start_listening()
                    if not await self._check_while_used(alive, stop):
                        return
                    cache.stop_listening()
                    await until_set(cache.used, IDLE_SECONDS * 6, stop=stop)
            finally:
                cache.stop_listening()

    async def _check_while_used(self, alive: Listener, stop: asyncio.Event) -> bool:
        """Check the connection as long as the cache is used; False when the connection is lost."""
        loop = asyncio.get_running_loop()
        used_at = loop.time()
        while not stop.is_set() and loop.time() - used_at < IDLE_SECONDS:
            if not await alive():
                return False
            if self._cache.used.is_set():
                self._cache.used.clear()
                used_at = loop.time()
            await pause(stop, CHECK_SECONDS)
        return True
