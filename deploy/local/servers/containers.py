"""PostgreSQL and Kafka from their official images, for tests on machines where Docker answers."""

import asyncio
import gc
import secrets
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.servers import kafka, postgres
from local.servers.ports import free_ports
from local.servers.process import CannotStart
from local.servers.settings import BackendSettings

POSTGRES_IMAGE = "postgres:18"
KAFKA_IMAGE = "apache/kafka:4.3.1"
ANSWER_LIMIT = 2.0  # seconds
START_LIMIT = 90.0  # seconds, after the image is there

_ASK = "from testcontainers.core.docker_client import DockerClient as D; D(timeout=2).client.ping()"
_SIGNS = ("/var/run/docker.sock", "~/.docker/config.json", "~/.testcontainers.properties")


@dataclass(frozen=True, kw_only=True)
class Started:
    """A running container, and the address for clients."""

    address: str
    container: Any  # testcontainers is imported only where it is used: it takes 0.3 s

    def stop(self) -> None:
        """Remove it with its data."""
        with _quietly():
            self.container.stop()


def why_not(given: BackendSettings) -> str | None:
    """Say why containers cannot be used; None when a Docker daemon answers within two seconds.

    A child asks, since Docker's client has no time limit for the whole; without any sign of Docker
    nobody asks.
    """
    if not given.hoop_docker:
        return "HOOP_DOCKER says no Docker"
    if not given.docker_host and not any(Path(sign).expanduser().exists() for sign in _SIGNS):
        return "no Docker here"
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK], capture_output=True, check=False, timeout=ANSWER_LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"Docker did not answer within {ANSWER_LIMIT:.0f} s"
    if asked.returncode == 0:
        return None
    said = asked.stderr.decode(errors="replace").strip().splitlines()
    return f"Docker does not answer: {said[-1] if said else 'it gives no reason'}"


async def start_postgres() -> Started:
    """Start a throw-away PostgreSQL."""
    password, [port] = secrets.token_hex(16), free_ports(1)
    settings = postgres.EVERYWHERE | postgres.THROW_AWAY
    container = _container(
        POSTGRES_IMAGE,
        command=["postgres", *(f"--{name}={value}" for name, value in settings.items())],
        env={"POSTGRES_PASSWORD": password},
    ).with_bind_ports(postgres.PORT, port)
    host = container.get_docker_client().host()
    await asyncio.to_thread(_run, container)
    dsn = f"postgresql://postgres:{password}@{host}:{port}/postgres"
    return await _when(postgres.answers, Started(address=dsn, container=container))


async def start_kafka() -> Started:
    """Start a throw-away Kafka with the settings of the embedded one."""
    [port] = free_ports(1)  # known before the start: the broker tells its clients its own address
    container = _container(KAFKA_IMAGE).with_bind_ports(port, port)
    host = container.get_docker_client().host()
    container.with_envs(**kafka_environment(host, port))
    await asyncio.to_thread(_run, container)
    return await _when(kafka.answers, Started(address=f"{host}:{port}", container=container))


def kafka_environment(host: str, port: int) -> dict[str, str]:
    """Spell the settings as the image reads them: `node.id` as `KAFKA_NODE_ID`."""
    settings = kafka.settings(
        listen="0.0.0.0",  # noqa: S104 - inside the container; Docker binds it outside
        advertised=host,
        port=port,
        controller_port=port + 1,
        data="/tmp/kafka",  # noqa: S108 - inside the container
    )
    # The image formats its storage by itself, which it can only with the voters named.
    settings["controller.quorum.voters"] = (
        f"1@{settings.pop('controller.quorum.bootstrap.servers')}"
    )
    return {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}


def _container(image: str, **options: Any) -> Any:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - takes 0.3 s

    return DockerContainer(image, **options)


def _run(container: Any) -> None:
    with _quietly():
        container.start()


async def _when(answers: Callable[[str], Awaitable[bool]], started: Started) -> Started:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if await answers(started.address):
            return started
        await asyncio.sleep(0.1)
    started.stop()
    raise CannotStart(f"The container of {started.container.image} did not answer in time.")


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep to itself that Docker's client leaves sockets open; our tests take warnings for errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
