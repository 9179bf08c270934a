"""Bursts over a queue of jobs: how many start in a second, and how soon after they were added."""

import asyncio
import time
from collections import Counter
from contextlib import suppress

from bench.report.findings import Broken
from bench.systems.job_queue import JobQueue

START_LIMIT = 10.0  # seconds
GAP = 0.02  # seconds between two jobs whose start is timed


async def jobs_a_second(queue: JobQueue, *, seconds: float, most: int) -> float:
    """Run a worker over a full queue until `most` jobs have started, or so long; return the rate.

    The worker's own start is included. `Broken` if a job starts twice.
    """
    started: Counter[str] = Counter()
    enough = asyncio.Event()

    def on_start(job: str) -> None:
        started[job] += 1
        if len(started) >= most:
            enough.set()

    begun = time.perf_counter()
    async with queue.working(on_start):
        with suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), seconds)
        count, passed = len(started), time.perf_counter() - begun
    if twice := [job for job, times in started.items() if times > 1]:
        raise Broken(f"{len(twice)} jobs were started twice, such as {twice[0]}")
    return count / passed


async def start_times(queue: JobQueue, *, count: int) -> list[float]:
    """Add jobs one by one to a queue whose worker is idle; return milliseconds from the call to each start."""
    pending: dict[str, asyncio.Future[float]] = {}

    def on_start(job: str) -> None:
        if job in pending and not pending[job].done():
            pending[job].set_result(time.perf_counter())

    async def one(job: str) -> float:
        pending[job] = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        await queue.enqueue(job)
        return (await asyncio.wait_for(pending[job], START_LIMIT) - begun) * 1000

    await queue.fill(0)
    async with queue.working(on_start):
        await one("0")  # the worker has started, its connections are open
        found = []
        for number in range(1, count + 1):
            await asyncio.sleep(GAP)
            found.append(await one(str(number)))
    return found
