"""Load by asyncio tasks of this process: a closed loop of clients, or an open loop at a fixed rate."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

MOST = 20_000
"""Operations of one burst, at most."""

T = TypeVar("T")
Operation = Callable[[], Awaitable[T]]


async def closed_loop(
    operation: Operation[T], *, clients: int, seconds: float
) -> tuple[list[T], float]:
    """Each client repeats the operation as soon as it has returned; return all results and the seconds."""
    done: list[T] = []
    begun = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() < begun + seconds and len(done) < MOST:
            done.append(await operation())

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return done, time.perf_counter() - begun


async def open_loop(operation: Operation[T], *, rate: int, seconds: float) -> list[T]:
    """Begin `rate` operations a second, evenly, however long each takes; return all results."""
    begun = time.perf_counter()
    tasks = []
    async with asyncio.TaskGroup() as group:
        for number in range(min(int(rate * seconds), MOST)):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            tasks.append(group.create_task(_run(operation)))
    return [task.result() for task in tasks]


async def _run(operation: Operation[T]) -> T:
    return await operation()
