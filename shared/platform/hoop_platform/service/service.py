"""A service as a value, and its runtime."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from hoop_events.base import Event
from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.db.database import Database
from hoop_platform.http.route import Route
from hoop_platform.kafka.batch import Handler, Subscriptions, Tombstone
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.kafka.group import ConsumerGroup
from hoop_platform.runtime import Runtime

BackgroundTask = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then ends by itself."""

Command = Callable[[Any, Sequence[str]], Coroutine[Any, Any, int]]
"""A command of `python -m <package>`: takes settings and arguments, returns the exit status."""


@dataclass(frozen=True)
class Service:
    """One service: its routes, subscriptions, announcements, jobs and commands."""

    name: str
    settings: type[Settings] = Settings
    routes: Sequence[Route] = ()
    subscriptions: Mapping[type[Event], Handler] = field(default_factory=dict)
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)
    announces: Sequence[type[Event]] = ()
    jobs: Callable[[Runtime[Any]], Sequence[BackgroundTask]] = lambda _: ()
    commands: Mapping[str, Command] = field(default_factory=dict)
    database: type[Database] = Database
    """The class of the runtime's database; a subclass holds what the requests of a process share."""

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")


@asynccontextmanager
async def open_runtime(
    service: Service, settings: Settings, tables: GlobalTables
) -> AsyncIterator[Runtime]:
    """The runtime of a service; its pool and client session are closed at the end."""
    telemetry.export(service.name, settings.otel_exporter_otlp_endpoint)
    dsn = settings.database_url.get_secret_value()
    database = await service.database.open(dsn, name=service.name, pool_size=settings.pool_size)
    subscriptions = Subscriptions(service.subscriptions, service.tombstones)
    group, clock = None, Clock(settings.clock_offset_file)
    if service.subscriptions:
        group = ConsumerGroup(
            service.name,
            database,
            subscriptions,
            bootstrap=settings.kafka_bootstrap,
            clock=clock,
        )
    timeout = ClientTimeout(total=10, connect=3, sock_read=10)
    try:
        async with ClientSession(timeout=timeout, trace_configs=[telemetry.client_spans()]) as http:
            yield Runtime(
                name=service.name,
                settings=settings,
                db=database,
                clock=clock,
                http=http,
                tables=tables,
                group=group,
            )
    finally:
        await database.close()
