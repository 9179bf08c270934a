"""PostgreSQL and Kafka in containers of their official images, for tests on machines with Docker."""

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
PING_LIMIT = 2.0  # seconds
START_LIMIT = 90.0  # seconds, after the image was pulled

_PING = (
    "from testcontainers.core.docker_client import DockerClient as D; D(timeout=2).client.ping()"
)
_SIGNS = ("/var/run/docker.sock", "~/.docker/config.json", "~/.testcontainers.properties")


@dataclass(frozen=True, kw_only=True)
class StartedContainer:
    """A running container, and its address for clients."""

    address: str
    container: Any  # testcontainers, whose import takes 0.3 s, is imported only where it is used

    def stop(self) -> None:
        """Remove the container with its data."""
        with _ignoring_open_sockets():
            self.container.stop()


def why_not(settings: BackendSettings) -> str | None:
    """The reason why containers cannot be used; None if the Docker daemon responds within two seconds.

    The ping runs in a child process, because Docker's client has no limit for the total time; it is
    skipped on machines without Docker's socket or configuration.
    """
    if not settings.hoop_docker:
        return "HOOP_DOCKER forbids Docker"
    if not settings.docker_host and not any(Path(sign).expanduser().exists() for sign in _SIGNS):
        return "no Docker on this machine"
    try:
        ping = subprocess.run(
            [sys.executable, "-c", _PING], capture_output=True, check=False, timeout=PING_LIMIT
        )
    except subprocess.TimeoutExpired:
        return f"Docker did not respond within {PING_LIMIT:.0f} s"
    if ping.returncode == 0:
        return None
    output = ping.stderr.decode(errors="replace").strip().splitlines()
    return f"Docker does not respond: {output[-1] if output else 'no reason given'}"


async def start_postgres() -> StartedContainer:
    """Start a PostgreSQL whose data are removed with it."""
    password, [port] = secrets.token_hex(16), free_ports(1)
    options = postgres.COMMON | postgres.NOT_DURABLE
    container = _container(
        POSTGRES_IMAGE,
        command=["postgres", *(f"--{name}={value}" for name, value in options.items())],
        env={"POSTGRES_PASSWORD": password},
    ).with_bind_ports(postgres.PORT, port)
    host = container.get_docker_client().host()
    await asyncio.to_thread(_run, container)
    dsn = f"postgresql://postgres:{password}@{host}:{port}/postgres"
    return await _until_responding(
        postgres.responds, StartedContainer(address=dsn, container=container)
    )


async def start_kafka() -> StartedContainer:
    """Start a Kafka with the settings of the embedded one, whose data are removed with it."""
    [port] = free_ports(1)  # known before the start, because the broker advertises its own address
    container = _container(KAFKA_IMAGE).with_bind_ports(port, port)
    host = container.get_docker_client().host()
    container.with_envs(**kafka_environment(host, port))
    await asyncio.to_thread(_run, container)
    return await _until_responding(
        kafka.responds, StartedContainer(address=f"{host}:{port}", container=container)
    )


def kafka_environment(host: str, port: int) -> dict[str, str]:
    """Kafka's settings as environment variables of the image: `node.id` is `KAFKA_NODE_ID`."""
    options = kafka.settings(
        listen="0.0.0.0",  # noqa: S104 - inside the container; Docker binds it outside
        advertised=host,
        port=port,
        controller_port=port + 1,
        data="/tmp/kafka",  # noqa: S108 - inside the container
    )
    # The image formats its storage itself, which works only with a list of voters.
    options["controller.quorum.voters"] = f"1@{options.pop('controller.quorum.bootstrap.servers')}"
    return {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in options.items()}


def _container(image: str, **options: Any) -> Any:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - takes 0.3 s

    return DockerContainer(image, **options)


def _run(container: Any) -> None:
    with _ignoring_open_sockets():
        container.start()


async def _until_responding(
    responds: Callable[[str], Awaitable[bool]], started: StartedContainer
) -> StartedContainer:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if await responds(started.address):
            return started
        await asyncio.sleep(0.1)
    started.stop()
    raise CannotStart(f"The container of {started.container.image} did not respond in time.")


@contextmanager
def _ignoring_open_sockets() -> Iterator[None]:
    """Ignore the warnings about sockets that Docker's client leaves open: in the tests they are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
