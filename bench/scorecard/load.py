"""Two ways to ask: as fast as answers come (closed), or at a fixed rate whatever comes (open)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

MOST = 20_000
"""No burst does more than this, however fast the machine is."""

T = TypeVar("T")
Deed = Callable[[], Awaitable[T]]


async def closed(deed: Deed[T], *, clients: int, seconds: float) -> tuple[list[T], float]:
    """Each client asks again as soon as it was answered; gives all answers and the seconds it took."""
    done: list[T] = []
    begun = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() < begun + seconds and len(done) < MOST:
            done.append(await deed())

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return done, time.perf_counter() - begun


async def offered(deed: Deed[T], *, rate: int, seconds: float) -> list[T]:
    """Begin `rate` a second, evenly; a slow answer delays nobody who comes later."""
    begun = time.perf_counter()
    tasks = []
    async with asyncio.TaskGroup() as group:
        for number in range(min(int(rate * seconds), MOST)):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            tasks.append(group.create_task(_run(deed)))
    return [task.result() for task in tasks]


async def _run(deed: Deed[T]) -> T:
    return await deed()
