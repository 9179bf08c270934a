"""A running service for tests, in the event loop of the test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
from aiohttp import ClientSession, ClientTimeout

from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.db.database import Database
from hoop_platform.http.admission import Admission
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.kafka.log_reader import open_log_reader
from hoop_platform.kafka.topics import ensure_topics
from hoop_platform.limits.limiter import Limiter
from hoop_platform.runtime import Runtime
from hoop_platform.secrets import new_key
from hoop_platform.service import serving
from hoop_platform.service.service import Service
from local.testing.tenant import UNLIMITED

START_LIMIT = 40.0  # seconds
STOP_LIMIT = 30.0


@asynccontextmanager
async def running(
    service: Service,
    *,
    database: Database | str,
    kafka_bootstrap: str,
    from_the_beginning: bool = False,
    **settings: object,
) -> AsyncIterator[tuple[str, Runtime[Any]]]:
    """Run a service on a free port; yields its base URL and its runtime once it is ready.

    database: a migrated database (a `Database`, or its DSN).
    from_the_beginning: consume the topics from their beginning. By default a database without
    offsets starts at the end of the topics, which contain the events of other tests.
    settings: further settings, by their field names.
    If the service fails meanwhile, its exception is raised at the end.
    """
    await ensure_topics(kafka_bootstrap)
    dsn = database if isinstance(database, str) else database.dsn
    if not from_the_beginning:
        await start_at_end(service, dsn, kafka_bootstrap)
    values: dict[str, Any] = {
        "database_url": dsn,
        "kafka_bootstrap": kafka_bootstrap,
        "http_port": 0,
        "data_key": new_key(),
        **settings,
    }
    async with _serving(service, service.settings(**values)) as started:
        yield started


@asynccontextmanager
async def _serving(service: Service, settings: Settings) -> AsyncIterator[tuple[str, Runtime[Any]]]:
    """Serve until the end of the block; yields base URL and runtime once the service is ready."""
    runtimes: list[Runtime[Any]] = []

    def observed_jobs(runtime: Runtime[Any]) -> Any:
        runtimes.append(runtime)
        return service.jobs(runtime)

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    port: asyncio.Future[int] = loop.create_future()
    observed = replace(service, jobs=observed_jobs)
    # No TaskGroup: it would wrap the test's own failure, and fixtures finish in another task.
    task = loop.create_task(serving.serve([(observed, settings)], stop, listening=port.set_result))
    try:
        async with asyncio.timeout(START_LIMIT):
            base_url = await _ready(task, port)
        yield base_url, runtimes[0]
    finally:
        stop.set()
        await asyncio.wait_for(task, STOP_LIMIT)


async def start_at_end(service: Service, dsn: str, kafka_bootstrap: str) -> None:
    """Store the end offsets of the topics in a database that has no offsets yet."""
    topics = sorted({event.topic for event in service.subscriptions})
    if not topics:
        return
    async with open_log_reader(kafka_bootstrap, topics) as reader:
        ends = await reader.end_offsets()
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.executemany(
            "INSERT INTO consumer_offset (topic, partition, next_offset) VALUES ($1, $2, $3)"
            " ON CONFLICT DO NOTHING",
            [(*partition, end) for partition, end in ends.items()],
        )
    finally:
        await connection.close(timeout=5)


async def _ready(task: asyncio.Task[None], port: asyncio.Future[int]) -> str:
    """The base URL, once the service is ready; raises the exception of a failed start."""
    waiting: set[asyncio.Future[Any]] = {task, port}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    base_url = f"http://127.0.0.1:{port.result()}"
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        while not task.done():
            async with http.get(f"{base_url}/health/ready") as response:
                if response.status == 200:
                    return base_url
            await asyncio.sleep(0.02)
    await task
    raise AssertionError(f"{base_url} ended before it was ready")


def open_admission(tables: GlobalTables, clock: Clock) -> Admission:
    """An admission without request limits; it refuses keys that have limits."""
    return Admission(tables=tables, limiter=Limiter(None), clock=clock, of_address=UNLIMITED)
