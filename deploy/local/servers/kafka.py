"""Embedded Apache Kafka: one node on the JVM, started and stopped without a container."""

import asyncio
import base64
import shutil
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from local.servers.jvm import JARS, Java, Progress, fetch_jars, find_java
from local.servers.ports import LOOPBACK, is_listening, until_free
from local.servers.process import (
    BUSY,
    CannotStart,
    ServerProcess,
    disown,
    end_leftover,
    ended_on_failure,
    own,
    run_to_end,
    spawn,
)
from local.servers.settings import BackendSettings

START_LIMIT = 240.0  # seconds, including recovery after a crash, on a machine that does much else
FORMAT_LIMIT = 240.0  # seconds
SETTINGS = Path(__file__).with_name("kafka.properties")
LOGGING = Path(__file__).with_name("log4j2.properties")


@dataclass(frozen=True, kw_only=True)
class Kafka:
    """A running embedded broker."""

    base: Path
    port: int
    origin: str
    server: ServerProcess

    @property
    def bootstrap(self) -> str:
        """The bootstrap address for clients."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The operating system's id of the JVM."""
        return self.server.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs; reading this reaps a process that has ended."""
        return self.server.alive

    @property
    def log(self) -> Path:
        """The broker's log file, with warnings and errors."""
        return self.server.log

    async def stop(self) -> None:
        """Stop the broker. A broker that has ended may be stopped again."""
        await self.server.stop(signal.SIGTERM, grace=20)
        disown(self.base)


async def start(
    base: Path, *, port: int, controller_port: int, on_progress: Progress | None = None
) -> Kafka:
    """Start a broker with its data in the folder `base`, which is formatted at the first start.

    The ports may differ from those of earlier starts. Missing jars are fetched; `on_progress`
    receives their number. Returns when clients can produce. Raises `CannotStart` with the reason
    and the fix.
    """
    base = own(base)
    java, where = await asyncio.to_thread(find_java), BackendSettings()
    jars = await fetch_jars(
        where.hoop_kafka_jars or JARS, mirror=where.hoop_maven_url, on_progress=on_progress
    )
    await end_leftover("kafka", base, signal.SIGTERM)
    if not (base / "data").exists():
        file = _write_settings(base, "data.part", port=port, controller_port=controller_port)
        await _format(base, _command(java, jars), file)
    for one in (port, controller_port):
        await until_free(one)
    file = _write_settings(base, "data", port=port, controller_port=controller_port)
    command = [*_command(java, jars), "kafka.Kafka", file]
    server = spawn("kafka", command, folder=base, log=base / "kafka.log")
    async with ended_on_failure(server, signal.SIGTERM):
        await _until_responding(server, port)
    return Kafka(base=base, port=port, origin=f"{java.origin} {java.release}", server=server)


def _command(java: Java, jars: Sequence[Path]) -> list[str | Path]:
    """The command of a JVM for a small broker: C1 and the serial collector, which start fastest."""
    options = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [
        java.command,
        *options,
        f"-Dlog4j2.configurationFile={LOGGING}",
        "-cp",
        ":".join(map(str, jars)),
    ]


def settings(
    *, listen: str, advertised: str, port: int, controller_port: int, data: str
) -> dict[str, str]:
    """The settings of a node that listens at the host `listen`; clients connect to `advertised`."""
    lines = [line for line in SETTINGS.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines) | {
        "listeners": f"PLAINTEXT://{listen}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{advertised}:{port}",
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller_port}",
        "log.dirs": data,
    }


def _write_settings(base: Path, data: str, *, port: int, controller_port: int) -> Path:
    """Write the settings file; `data` is relative, because Kafka splits paths at commas."""
    properties = settings(
        listen=LOOPBACK, advertised=LOOPBACK, port=port, controller_port=controller_port, data=data
    )
    file = base / f"{data}.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))
    return file


async def _format(base: Path, command: Sequence[str | Path], file: Path) -> None:
    """Format `data.part` and rename that, so that an interrupted run leaves no incomplete `data`."""
    part = base / "data.part"
    await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)
    tool: list[str | Path] = [
        "kafka.tools.StorageTool",
        "format",
        "--standalone",
        "-t",
        new_cluster_id(),
        "-c",
        file,
    ]
    ran = await run_to_end([*command, *tool], limit=FORMAT_LIMIT, folder=base)
    if ran.code:
        log = base / "format.log"
        log.write_text(ran.output + ran.errors)
        raise CannotStart(f"Kafka could not format {part}: {ran.last_words}", log=log)
    part.rename(base / "data")


def new_cluster_id() -> str:
    """A random id in Kafka's format, never with a leading dash, which its tools read as an option."""
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return new_cluster_id() if cluster_id.startswith("-") else cluster_id


async def _until_responding(server: ServerProcess, port: int) -> None:
    """Wait until the broker has joined its cluster."""
    deadline = time.monotonic() + START_LIMIT
    while server.alive and time.monotonic() < deadline:
        if is_listening(port) and await responds(f"{LOOPBACK}:{port}"):
            return
        await asyncio.sleep(0.05)
    if server.alive:
        reason = f"Kafka did not respond within {START_LIMIT:.0f} s."
        raise CannotStart(reason, log=server.log, mend=BUSY)
    raise CannotStart(f"Kafka ended at its start: {server.last_words()}", log=server.log)


async def responds(bootstrap: str) -> bool:
    """Whether clients find a broker at this address now."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await client.start()
        return bool((await client.describe_cluster())["brokers"])
    except (KafkaError, TimeoutError, OSError):
        return False
    finally:
        await client.close()
