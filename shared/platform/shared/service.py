"""A service is a value; this module runs one, or several composed in one process."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import uvloop
from aiohttp import ClientSession, ClientTimeout, web

from hoop_events import Event
from shared import failpoints, telemetry
from shared.clock import Clock
from shared.config import Settings, SettingsMissing
from shared.db import UNAVAILABLE, Database, migrate
from shared.http import Route, application, listen
from shared.kafka import Group, Handler, Subscriptions, Tables, Tombstone, ensure_topics
from shared.relay import Relay
from shared.secrets import Cipher
from shared.telemetry import log

DRAIN_SECONDS = 20.0

Part = Callable[[asyncio.Event], Awaitable[None]]
"""Something that runs until the event is set, then ends by itself."""

Command = Callable[[Any, Sequence[str]], Coroutine[Any, Any, int]]
"""A further deed of `python -m <package>`: is given settings and arguments, answers the exit status."""


@dataclass(frozen=True)
class Service:
    """All there is to say about one service: what it serves, what it listens to, what it works on."""

    name: str
    settings: type[Settings] = Settings
    routes: Sequence[Route] = ()
    subscriptions: Mapping[type[Event], Handler] = field(default_factory=dict)
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)
    announces: Sequence[type[Event]] = ()
    jobs: Callable[["Runtime"], Sequence[Part]] = lambda _: ()
    commands: Mapping[str, Command] = field(default_factory=dict)

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")


@dataclass(frozen=True)
class Runtime:
    """What a running service holds; handlers of HTTP and jobs are given it."""

    name: str
    settings: Any
    db: Database
    clock: Clock
    http: ClientSession
    tables: Tables
    group: Group | None

    @property
    def cipher(self) -> Cipher:
        """Seals with the service's key; a service that has none must not try."""
        return _cipher(self.settings.data_key.get_secret_value())

    async def catch_up(self) -> bool:
        """Wait, at most half a second, for what others had announced before this call."""
        group = self.group
        own = group.catch_up() if group else _yes()
        return all(await asyncio.gather(self.tables.catch_up(), own))


@lru_cache(maxsize=8)
def _cipher(key: str) -> Cipher:
    return Cipher.from_key(key)


async def _yes() -> bool:
    return True


@asynccontextmanager
async def opened(service: Service, settings: Settings, tables: Tables) -> AsyncIterator[Runtime]:
    """A runtime whose pool and client session are closed in the end."""
    telemetry.export(service.name, settings.otel_exporter_otlp_endpoint)
    dsn = settings.database_url.get_secret_value()
    database = await Database.open(dsn, name=service.name, pool_size=settings.pool_size)
    subscriptions = Subscriptions(service.subscriptions, service.tombstones)
    group = None
    if service.subscriptions:
        group = Group(service.name, database, subscriptions, bootstrap=settings.kafka_bootstrap)
    timeout = ClientTimeout(total=10, connect=3, sock_read=10)
    try:
        async with ClientSession(timeout=timeout, trace_configs=[telemetry.client_spans()]) as http:
            yield Runtime(
                name=service.name,
                settings=settings,
                db=database,
                clock=Clock(settings.clock_offset_file),
                http=http,
                tables=tables,
                group=group,
            )
    finally:
        await database.close()


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
        tables = Tables(first.kafka_bootstrap)
        runtimes = [
            (service, await stack.enter_async_context(opened(service, settings, tables)))
            for service, settings in services
        ]
        parts = [(service.name, part) for service, rt in runtimes for part in _parts(service, rt)]
        if any(service.routes for service, _ in services):
            parts.append(("tables", tables.run))
        runner = await _listen(runtimes, tables, first, stop)
        stack.push_async_callback(runner.cleanup)
        listening(runner.addresses[0][1])
        async with asyncio.TaskGroup() as tasks:
            for name, part in parts:
                tasks.create_task(_run(name, part, stop))
            await stop.wait()
            await asyncio.wait_for(runner.cleanup(), 10)
    telemetry.flush()


async def _run(name: str, part: Part, stop: asyncio.Event) -> None:
    telemetry.enter(name)
    await part(stop)


def _parts(service: Service, runtime: Runtime) -> list[Part]:
    parts: list[Part] = [Relay(runtime.db, bootstrap=runtime.settings.kafka_bootstrap).run]
    if runtime.group:
        parts.append(runtime.group.run)
    return [*parts, *service.jobs(runtime)]


async def _listen(
    runtimes: Sequence[tuple[Service, Runtime]],
    tables: Tables,
    settings: Settings,
    stop: asyncio.Event,
) -> web.AppRunner:
    async def ready() -> dict[str, bool]:
        checks = {"not stopping": not stop.is_set()}
        if any(service.routes for service, _ in runtimes):
            checks["tables"] = tables.ready.is_set()
        for service, runtime in runtimes:
            checks[f"{service.name} database"] = await _answers(runtime.db)
            if runtime.group:
                checks[f"{service.name} group"] = runtime.group.joined.is_set()
        return checks

    routes = [(route, runtime) for service, runtime in runtimes for route in service.routes]
    app = application(routes, ready=ready)
    return await listen(app, settings.http_host, settings.http_port)


async def _answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(1):
            return bool(await database.fetchval("SELECT true"))
    except UNAVAILABLE:
        return False


def run(services: Sequence[tuple[Service, Settings]]) -> None:
    """Run until SIGTERM or SIGINT, then drain; a second signal, or twenty seconds, end it at once."""
    telemetry.logs()
    failpoints.arm(services[0][1].failpoints)
    failpoints.watch(services[0][1].failpoint_dir)
    uvloop.run(_until_signal(services))


async def _until_signal(services: Sequence[tuple[Service, Settings]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None

    def asked_to_stop() -> None:
        if stop.is_set():
            serving.cancel()
        stop.set()
        loop.call_later(DRAIN_SECONDS, serving.cancel)

    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, asked_to_stop)
    names = [service.name for service, _ in services]
    await serve(services, stop, listening=lambda port: log.info("listening", port=port, of=names))
    log.info("stopped", of=names)


def settings_of(service: Service) -> Settings:
    """Its settings from the environment; what is wrong with them is said, all at once, and ends it."""
    try:
        return service.settings.of(service.name)
    except SettingsMissing as missing:
        sys.stderr.write(f"{missing}\n")
        raise


async def _prepare(settings: Settings, package: str) -> int:
    done = await migrate(settings.database_url.get_secret_value(), package)
    sys.stdout.write("".join(f"applied {name}\n" for name in done) or "schema up to date\n")
    made = await ensure_topics(
        settings.kafka_bootstrap,
        partitions=settings.kafka_partitions,
        replicas=settings.kafka_replicas,
    )
    sys.stdout.write("".join(f"created topic {name}\n" for name in made) or "topics up to date\n")
    return 0


def main(service: Service) -> None:
    """The command of a service: `python -m <package> [serve|prepare|…]`, `…` being its own commands.

    `prepare` brings the schema up to date and creates missing topics; `serve` never does.
    """
    command = sys.argv[1] if len(sys.argv) > 1 else "serve"
    known = {"serve", "prepare", *service.commands}
    if command not in known:
        sys.stderr.write(f"usage: {service.name} [{'|'.join(sorted(known))}]\n")
        sys.exit(2)
    settings = settings_of(service)
    if command == "serve":
        run([(service, settings)])
    elif command == "prepare":
        sys.exit(asyncio.run(_prepare(settings, service.package)))
    else:
        telemetry.enter(service.name)
        sys.exit(asyncio.run(service.commands[command](settings, sys.argv[2:])))
