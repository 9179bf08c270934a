"""What a service is, as a value, and what it holds while it runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from hoop_events import Event
from shared import telemetry
from shared.clock import Clock
from shared.config import Settings
from shared.db import Database
from shared.http import Route
from shared.kafka import Group, Handler, Subscriptions, Tables, Tombstone
from shared.secrets import Cipher

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
