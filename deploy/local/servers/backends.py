"""Which PostgreSQL and which Kafka the tests run on: given ones, containers, or embedded; and why."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from local.servers import containers, kafka, postgres
from local.servers.ports import free_ports
from local.servers.settings import BackendSettings

Kind = Literal["given", "container", "embedded"]
Part = Literal["PostgreSQL", "Kafka"]

_SETTING: dict[Part, str] = {"PostgreSQL": "DATABASE_URL", "Kafka": "KAFKA_BOOTSTRAP"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What a part will run on, and why so."""

    part: Part
    kind: Kind
    why: str
    address: str | None = None
    """Where it runs, when it was given."""

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.part}: {self.kind} ({self.why})"


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A part that runs."""

    choice: Choice
    address: str
    """A DSN of the database `postgres`, or Kafka's bootstrap address."""
    log: Path | None
    """What the server writes, where we can read it."""
    stop: Callable[[], Coroutine[Any, Any, None]]


def choose(given: BackendSettings) -> dict[Part, Choice]:
    """Choose for both parts: what is given, else containers, else our own."""
    addresses: dict[Part, str | None] = {
        "PostgreSQL": given.database_url,
        "Kafka": given.kafka_bootstrap,
    }
    why_not = None if all(addresses.values()) else containers.why_not(given)
    return {part: _choice(part, address, why_not) for part, address in addresses.items()}


def _choice(part: Part, address: str | None, why_not: str | None) -> Choice:
    if address:
        return Choice(part=part, kind="given", why=f"{_SETTING[part]} is set", address=address)
    without = f"no {_SETTING[part]}"
    if why_not is None:
        return Choice(part=part, kind="container", why=f"{without}; Docker answers")
    return Choice(part=part, kind="embedded", why=f"{without}; {why_not}")


async def start(choice: Choice, folder: Path) -> Backend:
    """Start the part as chosen; what it writes goes below `folder`."""
    if choice.address:
        return Backend(choice=choice, address=choice.address, log=None, stop=_leave_alone)
    if choice.kind == "container":
        return await _container(choice)
    return await _embedded(choice, folder)


async def _leave_alone() -> None:
    """A given server is not ours to stop."""


async def _container(choice: Choice) -> Backend:
    begin = {"PostgreSQL": containers.start_postgres, "Kafka": containers.start_kafka}
    started = await begin[choice.part]()

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
