"""Apache Kafka on this machine, one node on the JVM, no container: started, stopped, started again."""

import asyncio
import base64
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from local.servers.jvm import CACHE, Java, Progress, fetch_jars, find_java
from local.servers.ports import LOOPBACK, is_listening, until_free
from local.servers.process import ENVIRONMENT, CannotStart, Server, disown, end_leftover, own, spawn
from local.servers.settings import BackendSettings

START_LIMIT = 60.0  # seconds; recovery after a crash is included
SETTINGS = Path(__file__).with_name("kafka.properties")
LOGGING = Path(__file__).with_name("log4j2.properties")


@dataclass(frozen=True, kw_only=True)
class Kafka:
    """A running broker of ours."""

    base: Path
    port: int
    origin: str
    server: Server

    @property
    def bootstrap(self) -> str:
        """The address that clients are given."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The operating system's id of the JVM."""
        return self.server.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs; ask before you let go of a dead one, so that it is reaped."""
        return self.server.alive

    @property
    def log(self) -> Path:
        """What the broker wrote: warnings and errors."""
        return self.server.log

    async def stop(self) -> None:
        """End it; all that was acknowledged stays. Stopping a dead one is fine."""
        await self.server.stop(signal.SIGTERM, grace=20)
        disown(self.base)


async def start(
    base: Path, *, port: int, controller_port: int, on_progress: Progress | None = None
) -> Kafka:
    """Start the broker whose data lie in `base`, made at the first start; other ports are fine.

    The jars are fetched when they are missing, and `on_progress` is told. Answers when clients
    can produce. Raises `CannotStart` with the reason and its mend.
    """
    base = own(base)
    given, java = BackendSettings(), await asyncio.to_thread(find_java)
    jars = await fetch_jars(
        given.hoop_kafka_jars or CACHE, mirror=given.hoop_maven_url, on_progress=on_progress
    )
    await end_leftover("kafka", base, signal.SIGTERM)
    if not (base / "data").exists():
        file = _write_settings(base, "data.part", port=port, controller_port=controller_port)
        await asyncio.to_thread(_format, base, _command(java, jars), file)
    for wanted in (port, controller_port):
        await until_free(wanted)
    file = _write_settings(base, "data", port=port, controller_port=controller_port)
    command = [*_command(java, jars), "kafka.Kafka", file]
    server = spawn("kafka", command, folder=base, log=base / "kafka.log")
    await _wait_until_it_answers(server, port)
    return Kafka(base=base, port=port, origin=f"{java.origin} {java.release}", server=server)


def _command(java: Java, jars: Sequence[Path]) -> list[str | Path]:
    """Start a JVM for a small broker: the quick compiler and the plain collector start sooner."""
    quick = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [
        java.command,
        *quick,
        f"-Dlog4j2.configurationFile={LOGGING}",
        "-cp",
        ":".join(map(str, jars)),
    ]


def settings(
    *, listen: str, advertised: str, port: int, controller_port: int, data: str
) -> dict[str, str]:
    """Give all settings of a node that listens at `listen` and is called `advertised` by clients."""
    lines = [line for line in SETTINGS.read_text().splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines) | {
        "listeners": f"PLAINTEXT://{listen}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{advertised}:{port}",
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller_port}",
        "log.dirs": data,
    }


def _write_settings(base: Path, data: str, *, port: int, controller_port: int) -> Path:
    """Write the settings file; `data` is relative, because a comma in a path would mean two."""
    all_of_them = settings(
        listen=LOOPBACK, advertised=LOOPBACK, port=port, controller_port=controller_port, data=data
    )
    file = base / f"{data}.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in all_of_them.items()))
    return file


def _format(base: Path, command: Sequence[str | Path], file: Path) -> None:
    """Make the data folder beside its final place: an interrupted run leaves nothing half made."""
    part = base / "data.part"
    shutil.rmtree(part, ignore_errors=True)
    tool = ["kafka.tools.StorageTool", "format", "--standalone", "-t", new_cluster_id(), "-c", file]
    ran = subprocess.run(
        [str(word) for word in (*command, *tool)],
        cwd=base,
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
        timeout=120,
    )
    if ran.returncode:
        said = (ran.stdout + ran.stderr).decode(errors="replace")
        raise CannotStart(f"Kafka could not format {part}:\n{said}")
    part.rename(base / "data")


def new_cluster_id() -> str:
    """Make an id as Kafka makes them: never with a dash in front, which its tools read as an option."""
    made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return new_cluster_id() if made.startswith("-") else made


async def _wait_until_it_answers(server: Server, port: int) -> None:
    """Wait until the broker takes part in its cluster."""
    deadline = time.monotonic() + START_LIMIT
    while server.alive and time.monotonic() < deadline:
        if is_listening(port) and await answers(f"{LOOPBACK}:{port}"):
            return
        await asyncio.sleep(0.05)
    words = server.last_words()
    await server.stop(signal.SIGTERM)
    raise CannotStart(f"Kafka did not start. The end of {server.log}:\n{words}")


async def answers(bootstrap: str) -> bool:
    """Say whether clients find a broker there now."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    try:
        await client.start()
        return bool((await client.describe_cluster())["brokers"])
    except KafkaError:
        return False
    finally:
        await client.close()
