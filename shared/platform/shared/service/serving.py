"""Running services: HTTP, consumers, jobs and relays of one process, begun together, ended in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web

from hoop_events import Limits
from shared import telemetry
from shared.clock import Clock
from shared.config import Settings
from shared.db import UNAVAILABLE, Database
from shared.http import Door, application, listen
from shared.http.once import forget
from shared.kafka import Tables
from shared.limits import Limiter
from shared.relay import Relay
from shared.service import holding
from shared.service.runtime import Part, Runtime, Service, opened
from shared.telemetry import cause, log
from shared.work import every

FORGET_SECONDS = 60.0
HTTP_SECONDS = 10.0
"""So long the requests at hand may take when the process is told to stop."""


async def serve(
    services: Sequence[tuple[Service, Settings]],
    stop: asyncio.Event,
    *,
    listening: Callable[[int], None] = lambda _: None,
) -> None:
    """Run services in this process until `stop` is set. Any part that fails ends the whole.

    The HTTP server listens where the first service's settings say; `listening` is told the port.
    """
    first = services[0][1]
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, telemetry.flush)
        tables = Tables(first.kafka_bootstrap)
        runtimes = [
            (service, await stack.enter_async_context(opened(service, settings, tables)))
            for service, settings in services
        ]
        door = await stack.enter_async_context(_door(first, tables))
        runner = await _listen(runtimes, door, first, stop)
        stack.push_async_callback(runner.cleanup)
        listening(runner.addresses[0][1])
        await _go_on(runtimes, door, runner, stop)


@asynccontextmanager
async def _door(settings: Settings, tables: Tables) -> AsyncIterator[Door]:
    """The one door of this process; it counts in a database of its own, if it has one."""
    async with AsyncExitStack() as stack:
        database = None
        if settings.limits_database_url is not None:
            dsn = settings.limits_database_url.get_secret_value()
            database = await Database.open(dsn, name="limits", pool_size=settings.pool_size)
            stack.push_async_callback(database.close)
        yield Door(
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


async def _go_on(
    runtimes: Sequence[tuple[Service, Runtime]],
    door: Door,
    runner: web.AppRunner,
    stop: asyncio.Event,
) -> None:
    """Until told to stop; then first those end who may announce something, and the relays last."""
    silent = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for service, runtime in runtimes:
            relay = Relay(runtime.db, bootstrap=runtime.settings.kafka_bootstrap)
            tasks.create_task(_run(service.name, relay.run, silent))
        parts: list[tuple[str, Part]] = [(runtimes[0][0].name, holding.watch)]
        parts += [(service.name, part) for service, rt in runtimes for part in _parts(service, rt)]
        if _has_routes(runtimes):
            parts += [("tables", door.tables.run), ("limits", door.limiter.run)]
            parts += [(s.name, partial(_forget_answers, rt)) for s, rt in runtimes if s.routes]
        announcing = [tasks.create_task(_run(name, part, stop)) for name, part in parts]
        await stop.wait()
        async with asyncio.timeout(HTTP_SECONDS):
            await runner.cleanup()
        await asyncio.wait(announcing)
        silent.set()


async def _run(name: str, part: Part, stop: asyncio.Event) -> None:
    telemetry.enter(name)
    try:
        await part(stop)
    except Exception as error:
        log.error("part failed", part=getattr(part, "__qualname__", repr(part)), error=cause(error))
        raise


async def _forget_answers(runtime: Runtime, stop: asyncio.Event) -> None:
    async def forget_old() -> None:
        await forget(runtime.db, now=runtime.clock.now())

    await every(FORGET_SECONDS, forget_old, stop, what="forgetting old answers")


def _parts(service: Service, runtime: Runtime) -> Sequence[Part]:
    jobs = service.jobs(runtime)
    return [runtime.group.run, *jobs] if runtime.group else jobs


def _has_routes(runtimes: Sequence[tuple[Service, Runtime]]) -> bool:
    return any(service.routes for service, _ in runtimes)


async def _listen(
    runtimes: Sequence[tuple[Service, Runtime]],
    door: Door,
    settings: Settings,
    stop: asyncio.Event,
) -> web.AppRunner:
    async def ready() -> dict[str, bool]:
        checks = {"not stopping": not stop.is_set()}
        if _has_routes(runtimes):
            checks["tables"] = door.tables.ready.is_set()
        answers = await asyncio.gather(*(_answers(runtime.db) for _, runtime in runtimes))
        for (service, runtime), answer in zip(runtimes, answers, strict=True):
            checks[f"{service.name} database"] = answer
            if runtime.group:
                checks[f"{service.name} group"] = runtime.group.joined.is_set()
        return checks

    routes = [(route, runtime) for service, runtime in runtimes for route in service.routes]
    return await listen(
        application(routes, door=door, ready=ready), settings.http_host, settings.http_port
    )


async def _answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(1):
            return bool(await database.fetchval("SELECT true"))
    except UNAVAILABLE:
        return False
