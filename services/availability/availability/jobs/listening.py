"""Listening: hears what every commit has touched, on a connection of its own, for the memory."""

import asyncio

from availability.store import Memory
from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import cause, log
from hoop_platform.timing import pause, until_set

CHANNEL = "read_model"
AGAIN_SECONDS = 0.2
LOOK_SECONDS = 0.5


class Listening:
    """While it hears, the memory may keep things; from the moment it does not, it must not."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.db
        self._memory = Memory.of(runtime.db, intervals=runtime.settings.memory_intervals)

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self._listen(stop)
            except UNAVAILABLE as error:
                log.warning("not listening", error=cause(error))
                await pause(stop, AGAIN_SECONDS)

    async def _listen(self, stop: asyncio.Event) -> None:
        memory = self._memory
        async with self._database.listen(
            CHANNEL, on_payload=memory.heard, on_lost=memory.end
        ) as alive:
            memory.begin()
            try:
                while await alive() and not await until_set(stop, LOOK_SECONDS):
                    pass
            finally:
                memory.end()
