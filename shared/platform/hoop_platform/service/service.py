"""A service as a value, its worker and its runtime."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from hoop_events.base import Event
from hoop_events.catalogue import EVENTS
from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.config import Settings
from hoop_platform.db.database import Database
from hoop_platform.http.route import Route
from hoop_platform.kafka.batch import Handler, Subscriptions, Tombstone
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.kafka.group import ConsumerGroup
from hoop_platform.reconcile.effects import Reconciles, performing
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime

BackgroundTask = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then ends by itself."""

Command = Callable[[Any, Sequence[str]], Coroutine[Any, Any, int]]
"""A command of `python -m <package>`: takes settings and arguments, returns the exit status."""


class UncataloguedEvent(ValueError):
    """A service announces an event that is not defined in `hoop_events`."""


@dataclass(frozen=True)
class Service:
    """One service: its routes, subscriptions, announcements, desired states, jobs and commands.

    Its folders `migrations` and `functions` exist if it has tables of its own. `reconciles` says how
    the desired states of each kind come true; one worker of the platform does it for all kinds.
    """

    name: str
    settings: type[Settings] = Settings
    routes: Sequence[Route] = ()
    subscriptions: Mapping[type[Event], Handler] = field(default_factory=dict)
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)
    announces: Sequence[type[Event]] = ()
    reconciles: Mapping[str, Reconciles] = field(default_factory=dict)
    concurrency: int = 8
    """Attempts that the worker of one process makes at a time."""
    jobs: Callable[[Runtime[Any]], Sequence[BackgroundTask]] = lambda _: ()
    commands: Mapping[str, Command] = field(default_factory=dict)
    database: type[Database] = Database
    """The class of the runtime's database; a subclass holds what the requests of a process share."""

    def __post_init__(self) -> None:
        """Raises `UncataloguedEvent` for an event without a topic and a schema: nobody could read it."""
        if strangers := sorted(event.__name__ for event in set(self.announces) - set(EVENTS)):
            raise UncataloguedEvent(
                f"{self.name} announces {', '.join(strangers)}, but an event that is announced has to be"
                " defined in a module of hoop_events: only there is it given a schema and a topic"
            )

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")


def worker_of(service: Service, runtime: Runtime[Any]) -> Worker:
    """The worker for all kinds of desired states of a service."""
    kinds = {kind: performing(runtime, each) for kind, each in service.reconciles.items()}
    return Worker(runtime.db, kinds, concurrency=service.concurrency)


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
