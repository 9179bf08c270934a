"""The choice of PostgreSQL and Kafka for the tests: external, in a container, or embedded; and the reason."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from local.servers import containers, kafka, postgres
from local.servers.ports import free_ports
from local.servers.settings import BackendSettings

Kind = Literal["external", "container", "embedded"]
Part = Literal["PostgreSQL", "Kafka"]

_SETTING: dict[Part, str] = {"PostgreSQL": "DATABASE_URL", "Kafka": "KAFKA_BOOTSTRAP"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a part will run, and the reason. `address`: that of an external server."""

    part: Part
    kind: Kind
    why: str
    address: str | None = None

    def __str__(self) -> str:
        return f"{self.part}: {self.kind} ({self.why})"


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A running part.

    address: the DSN of the database `postgres`, or Kafka's bootstrap address.
    log: the server's log file, if it can be read here.
    """

    choice: Choice
    address: str
    log: Path | None
    stop: Callable[[], Coroutine[Any, Any, None]]


def choose(settings: BackendSettings) -> dict[Part, Choice]:
    """Choose for both parts: an external server if its address is set, else a container, else embedded."""
    addresses: dict[Part, str | None] = {
        "PostgreSQL": settings.database_url,
        "Kafka": settings.kafka_bootstrap,
    }
    why_not = None if all(addresses.values()) else containers.why_not(settings)
    return {part: _choice(part, address, why_not) for part, address in addresses.items()}


def _choice(part: Part, address: str | None, why_not: str | None) -> Choice:
    if address:
        return Choice(part=part, kind="external", why=f"{_SETTING[part]} is set", address=address)
    unset = f"no {_SETTING[part]}"
    if why_not is None:
        return Choice(part=part, kind="container", why=f"{unset}; Docker responds")
    return Choice(part=part, kind="embedded", why=f"{unset}; {why_not}")


async def start(choice: Choice, folder: Path) -> Backend:
    """Start a part as chosen; an embedded server keeps its files below `folder`."""
    if choice.address:
        return Backend(choice=choice, address=choice.address, log=None, stop=_do_nothing)
    if choice.kind == "container":
        return await _container(choice)
    return await _embedded(choice, folder)


async def _do_nothing() -> None:
    """Stops an external server, which keeps running."""


async def _container(choice: Choice) -> Backend:
    start_container = {"PostgreSQL": containers.start_postgres, "Kafka": containers.start_kafka}
    started = await start_container[choice.part]()

    async def stop() -> None:
        await asyncio.to_thread(started.stop)

    return Backend(choice=choice, address=started.address, log=None, stop=stop)


async def _embedded(choice: Choice, folder: Path) -> Backend:
    port, controller_port = free_ports(2)
    if choice.part == "PostgreSQL":
        server = await postgres.start(folder / "postgres", port=port, durable=False)
        return Backend(choice=choice, address=server.dsn, log=server.log, stop=server.stop)
    broker = await kafka.start(folder / "kafka", port=port, controller_port=controller_port)
    return Backend(choice=choice, address=broker.bootstrap, log=broker.log, stop=broker.stop)
