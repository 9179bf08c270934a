"""PgQueuer on the measured server, with no-op jobs: over asyncpg, as its documentation runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from pgqueuer.core.qm import QueueManager
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.systems.job_queue import CONCURRENCY, OnStart
from bench.systems.single_service import Servers

ENTRYPOINT = "nothing"
CHUNK = 1000


@dataclass
class PgQueuerQueue:
    """Jobs of PgQueuer in a database of their own."""

    pool: asyncpg.Pool

    async def fill(self, count: int) -> None:
        queries = self._queries()
        await queries.clear_queue()
        for first in range(0, count, CHUNK):
            names = range(first, min(first + CHUNK, count))
            jobs: list[bytes | None] = [str(number).encode() for number in names]
            await queries.enqueue([ENTRYPOINT] * len(jobs), jobs, [0] * len(jobs))

    async def enqueue(self, job: str) -> None:
        await self._queries().enqueue(ENTRYPOINT, job.encode())

    @asynccontextmanager
    async def working(self, on_start: OnStart) -> AsyncIterator[None]:
        manager = QueueManager(self._queries())

        @manager.entrypoint(ENTRYPOINT)
        async def start(job: Job) -> None:
            on_start((job.payload or b"").decode())

        async with asyncio.TaskGroup() as tasks:
            # It wants at least two batches within the limit.
            run = manager.run(batch_size=CONCURRENCY // 2, max_concurrent_tasks=CONCURRENCY)
            tasks.create_task(run)
            try:
                yield
            finally:
                manager.shutdown.set()

    def _queries(self) -> Queries:
        return Queries(AsyncpgPoolDriver(self.pool))


@asynccontextmanager
async def pgqueuer_queue(servers: Servers) -> AsyncIterator[PgQueuerQueue]:
    """Create the database with PgQueuer's tables."""
    dsn = await servers.empty_database("pgqueuer")
    async with asyncpg.create_pool(dsn, min_size=4, max_size=CONCURRENCY + 4, timeout=10) as pool:
        queue = PgQueuerQueue(pool)
        await Queries(AsyncpgPoolDriver(pool)).install()
        yield queue
