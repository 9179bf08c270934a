"""Runs services in one process: HTTP, consumers, jobs and relays start together and stop in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web

from hoop_events.accounts import Limits
from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.db.database import UNAVAILABLE, Database
from hoop_platform.http.admission import Admission
from hoop_platform.http.app import application
from hoop_platform.http.idempotency import delete_expired
from hoop_platform.http.server import listen
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.limits.limiter import Limiter
from hoop_platform.outbox.relay import Relay
from hoop_platform.runtime import Runtime
from hoop_platform.service import loop_monitor
from hoop_platform.service.service import BackgroundTask, Service, open_runtime
from hoop_platform.telemetry import cause, log
from hoop_platform.timing import every

DELETE_SECONDS = 600.0
HTTP_SECONDS = 10.0
"""How long running requests may take when the process stops."""


async def serve(
    services: Sequence[tuple[Service, Settings]],
    stop: asyncio.Event,
    *,
    listening: Callable[[int], None] = lambda _: None,
) -> None:
    """Run services in this process until `stop` is set. Any task that fails ends all.

    The HTTP server listens where the first service's settings say; `listening` is called with the port.
    """
    first = services[0][1]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, telemetry.flush)
        tables = GlobalTables(first.kafka_bootstrap)
        runtimes = [
            (service, await stack.enter_async_context(open_runtime(service, settings, tables)))
            for service, settings in services
        ]
        admission = await stack.enter_async_context(_admission(first, tables))
        runner = await _listen(runtimes, admission, first, stop)
        stack.push_async_callback(runner.cleanup)
        listening(runner.addresses[0][1])
        await _run_until_stopped(runtimes, admission, runner, stop)


@asynccontextmanager
async def _admission(settings: Settings, tables: GlobalTables) -> AsyncIterator[Admission]:
    """The admission control of this process, with the database that counts requests, if there is one."""
    async with AsyncExitStack() as stack:
        database = None
        if settings.limits_database_url is not None:
            dsn = settings.limits_database_url.get_secret_value()
            database = await Database.open(dsn, name="limits", pool_size=settings.pool_size)
            stack.push_async_callback(database.close)
        yield Admission(
            tables=tables,
            limiter=Limiter(database),
            clock=Clock(settings.clock_offset_file),
            of_address=Limits(
                per_second=settings.address_per_second or None,
                per_minute=settings.address_per_minute or None,
                per_day=settings.address_per_day or None,
            ),
            proxies=settings.trusted_proxies,
        )


async def _run_until_stopped(
    runtimes: Sequence[tuple[Service, Runtime]],
    admission: Admission,
    runner: web.AppRunner,
    stop: asyncio.Event,
) -> None:
    """Run until `stop`; then first the tasks that may announce something end, and the relays last."""
    announcements_ended = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for service, runtime in runtimes:
            relay = Relay(runtime.db, bootstrap=runtime.settings.kafka_bootstrap)
            tasks.create_task(_run(service.name, relay.run, announcements_ended))
        parts: list[tuple[str, BackgroundTask]] = [(runtimes[0][0].name, loop_monitor.monitor_loop)]
        parts += [(service.name, part) for service, rt in runtimes for part in _parts(service, rt)]
        if _has_routes(runtimes):
            parts += [("tables", admission.tables.run), ("limits", admission.limiter.run)]
            parts += [
                (s.name, partial(_delete_expired_responses, rt)) for s, rt in runtimes if s.routes
            ]
        announcing = [tasks.create_task(_run(name, part, stop)) for name, part in parts]
        await stop.wait()
        async with asyncio.timeout(HTTP_SECONDS):
            await runner.cleanup()
        await asyncio.wait(announcing)
        announcements_ended.set()


async def _run(name: str, task: BackgroundTask, stop: asyncio.Event) -> None:
    telemetry.enter(name)
    try:
        await task(stop)
    except Exception as error:
        log.error(
            "background task failed",
            task=getattr(task, "__qualname__", repr(task)),
            error=cause(error),
        )
        raise


async def _delete_expired_responses(runtime: Runtime, stop: asyncio.Event) -> None:
    async def delete_old() -> None:
        await delete_expired(runtime.db, now=runtime.clock.now())

    await every(DELETE_SECONDS, delete_old, stop, what="deletion of expired responses")


def _parts(service: Service, runtime: Runtime) -> Sequence[BackgroundTask]:
    jobs = service.jobs(runtime)
    return [runtime.group.run, *jobs] if runtime.group else jobs


def _has_routes(runtimes: Sequence[tuple[Service, Runtime]]) -> bool:
    return any(service.routes for service, _ in runtimes)


async def _listen(
    runtimes: Sequence[tuple[Service, Runtime]],
    admission: Admission,
    settings: Settings,
    stop: asyncio.Event,
) -> web.AppRunner:
    async def ready() -> dict[str, bool]:
        checks = {"not stopping": not stop.is_set()}
        if _has_routes(runtimes):
            checks["tables"] = admission.tables.ready.is_set()
        answers = await asyncio.gather(*(_answers(runtime.db) for _, runtime in runtimes))
        for (service, runtime), answer in zip(runtimes, answers, strict=True):
            checks[f"{service.name} database"] = answer
            if runtime.group:
                checks[f"{service.name} group"] = runtime.group.joined.is_set()
        return checks

    routes = [(route, runtime) for service, runtime in runtimes for route in service.routes]
    return await listen(
        application(routes, admission=admission, ready=ready),
        settings.http_host,
        settings.http_port,
    )


async def _answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(1):
            return bool(await database.fetchval("SELECT true"))
    except UNAVAILABLE:
        return False
