"""Procrastinate on the measured server, with no-op jobs: over psycopg, as its documentation runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import procrastinate
from procrastinate.types import JSONDict

from bench.systems.job_queue import CONCURRENCY, OnStart
from bench.systems.single_service import Servers

TASK = "nothing"
CHUNK = 1000


@dataclass
class ProcrastinateQueue:
    """Jobs of Procrastinate in a database of their own."""

    app: procrastinate.App
    on_start: OnStart = lambda _: None

    def __post_init__(self) -> None:
        @self.app.task(name=TASK)
        async def start(job: str) -> None:
            self.on_start(job)

    async def fill(self, count: int) -> None:
        await self.app.connector.execute_query_async("DELETE FROM procrastinate_jobs")
        for first in range(0, count, CHUNK):
            names = range(first, min(first + CHUNK, count))
            jobs: list[JSONDict] = [{"job": str(number)} for number in names]
            await self.app.configure_task(TASK).batch_defer_async(*jobs)

    async def enqueue(self, job: str) -> None:
        await self.app.configure_task(TASK).defer_async(job=job)

    @asynccontextmanager
    async def working(self, on_start: OnStart) -> AsyncIterator[None]:
        self.on_start = on_start
        async with asyncio.TaskGroup() as tasks:
            run = self.app.run_worker_async(
                concurrency=CONCURRENCY, install_signal_handlers=False, delete_jobs="always"
            )
            running = tasks.create_task(run)
            try:
                yield
            finally:
                running.cancel()  # its way to stop: what has begun is finished


@asynccontextmanager
async def procrastinate_queue(servers: Servers) -> AsyncIterator[ProcrastinateQueue]:
    """Create the database with Procrastinate's tables."""
    dsn = await servers.empty_database("procrastinate")
    connector = procrastinate.PsycopgConnector(
        conninfo=dsn, min_size=4, max_size=CONCURRENCY + 4, timeout=10
    )
    app = procrastinate.App(connector=connector)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        yield ProcrastinateQueue(app)
