"""The start of a system: ports that nobody else takes meanwhile, and a part that ends is reported at once."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from local.servers import ports, postgres, unprivileged
from local.servers.ports import LOOPBACK, free_ports
from local.servers.process import CannotStart, command_of, ended_on_failure
from local.stack.lifecycle import Stack
from local.stack.patience import until_done, until_ok
from local.stack.supervisor import Supervisor, start_program
from local.stack.topology import SERVICES, Tuning, url

TAKE = """
import sys
from local.servers import ports
ports.LOWEST, ports.HIGHEST = int(sys.argv[1]), int(sys.argv[1]) + 40
print(*ports.free_ports(10), flush=True)
sys.stdin.read()  # the reservation lasts as long as the process
"""


@pytest.fixture
def narrow_range(monkeypatch):
    """Forty ports to choose from, for this process and those that are told of it."""
    lowest = 19_000
    monkeypatch.setattr(ports, "LOWEST", lowest)
    monkeypatch.setattr(ports, "HIGHEST", lowest + 40)
    return lowest


def test_systems_that_start_side_by_side_choose_different_ports(narrow_range):
    """Ports are chosen seconds before anybody listens on them."""
    command = [sys.executable, "-c", TAKE, str(narrow_range)]
    others = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        chosen = [int(port) for one in others for port in one.stdout.readline().split()]
        chosen += free_ports(10)
    finally:
        for one in others:
            one.communicate(timeout=20)
    assert len(chosen) == len(set(chosen)) == 30


async def test_a_program_that_ends_at_its_start_is_reported_with_its_log(tmp_path):
    """A service that cannot listen fails the start at once, not after the time limit."""
    [port] = free_ports(1)
    with closing(socket.create_server((LOOPBACK, port))):
        module, upstreams = "local.stack.dev_gateway", [f"{name}=1" for name in SERVICES]
        command = [sys.executable, "-m", module, str(port), *upstreams, str(tmp_path)]
        program = await start_program("gateway", command, folder=tmp_path, environment={})
        with pytest.raises(CannotStart, match=r"(?s)gateway: ended at its start.*address already"):
            await until_ok(url(port) + "/health/live", program)


class Silent:
    """A progress that is shown to nobody; it keeps what was said."""

    def __init__(self):
        self.said = []

    @contextlib.asynccontextmanager
    async def step(self, _what):
        yield

    @contextlib.contextmanager
    def waiting(self, _what):
        yield

    def say(self, text):
        self.said.append(text)

    def fetched(self, done, total):
        pass


def left_in(folder):
    """The command lines of the processes that run in the folder, or in that of its PostgreSQL."""
    folders = {str(folder), str(unprivileged.home_of(folder / "postgres"))}
    found = (command_of(int(entry.name)) for entry in Path("/proc").glob("[0-9]*"))
    return [command for command in found if any(each in command for each in folders)]


async def until(condition, *, within=60.0):
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "moment",
    [
        lambda folder: "initdb" in str(left_in(folder)),
        lambda folder: "StorageTool" in str(left_in(folder)),
        lambda folder: "bin/postgres -D" in str(left_in(folder)),
        lambda folder: (folder / "kafka/kafka.pid").exists(),
    ],
    ids=["initdb", "format", "PostgreSQL", "Kafka"],
)
async def test_a_start_that_is_cancelled_leaves_no_process(tmp_path, moment):
    """Ctrl-C while the servers start: whatever runs by then is stopped before the command ends."""
    stack = Stack(tmp_path, port=0, split=False, progress=Silent())
    starting = asyncio.ensure_future(stack.start())  # noqa: TID251 -- cancelled below
    try:
        await until(lambda: moment(tmp_path) or starting.done())
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    finally:
        await stack.stop()
    left = left_in(tmp_path)
    unprivileged.forget(tmp_path / "postgres")

    assert left == []


async def test_one_server_that_fails_ends_the_start_of_the_other(tmp_path, monkeypatch):
    """The failure is reported as it is, and the server that was still starting is stopped."""

    async def fail(*_, **__):
        await until((tmp_path / "kafka/kafka.pid").exists)
        raise CannotStart("PostgreSQL would not.")

    monkeypatch.setattr(postgres, "start", fail)
    stack = Stack(tmp_path, port=0, split=False, progress=Silent())
    with pytest.raises(CannotStart, match="would not"):
        await stack.start()
    left = left_in(tmp_path)
    await stack.stop()

    assert left == []


PROGRAM = "import sys, time; time.sleep(60)"


async def test_what_ends_is_restarted_and_a_stop_waits_for_no_restart(tmp_path):
    """Both are said; a stop in the middle of a restart leaves no process of it."""
    said, began = [], asyncio.Event()
    supervisor = Supervisor(said.append, lambda: None)

    async def start():
        began.set()
        command = [sys.executable, "-c", PROGRAM, tmp_path]
        program = await start_program("program", command, folder=tmp_path, environment={})
        async with ended_on_failure(program.server, signal.SIGTERM):
            await asyncio.sleep(0.2 if len(said) < 2 else 60)  # until it is ready
        return program

    program = await supervisor.run("program", start)
    supervisor.watch()
    os.kill(program.pid, signal.SIGKILL)
    await until(lambda: len(said) == 2)
    assert said[0] == "program ended; restart in 1 s"
    assert said[1].startswith("program runs again (pid ")
    began.clear()
    os.kill(supervisor.pid("program"), signal.SIGKILL)
    await began.wait()
    await until(lambda: left_in(tmp_path))
    async with asyncio.timeout(30):
        await supervisor.stop()

    assert left_in(tmp_path) == []


async def test_a_step_is_tried_again_until_its_deadline():
    """What passes is tried again; the sentence at the end names the step and the last failure."""
    tries = []

    async def late():
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionResetError("too busy")
        return "done"

    async def never():
        raise TimeoutError("no answer")

    assert await until_done("the schema of booking", late) == "done"
    with pytest.raises(CannotStart, match=r"^the schema of booking: not done .*no answer"):
        await until_done("the schema of booking", never, limit=1.0)
    with pytest.raises(ZeroDivisionError):  # another try would not help
        await until_done("a bug", lambda: asyncio.to_thread(lambda: 1 / 0))


async def test_a_program_that_is_not_ready_says_what_it_waits_for(tmp_path):
    """The names of its own checks are repeated."""

    async def not_ready(_):
        return web.json_response({"checks": {"database": True, "kafka": False}}, status=503)

    [port] = free_ports(1)
    runner = web.ServerRunner(web.Server(not_ready))
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port).start()
    command = [sys.executable, "-c", PROGRAM, tmp_path]
    program = await start_program("booking", command, folder=tmp_path, environment={})
    try:
        with pytest.raises(CannotStart, match=r"booking: not ready within 1 s; it waits for kafka"):
            await until_ok(url(port), program, limit=1.0)
    finally:
        await program.stop()
        await runner.cleanup()


def test_the_limits_of_the_real_world_are_options():
    """The product and the simulator know the same limit; without an option everything stays wide."""
    chosen = Tuning(zoom_limit=3, poll=0.5, limits=True)

    assert chosen.settings == {
        "ZOOM_DAILY_LIMIT": "3",
        "GOOGLE_POLL_SECONDS": "0.5",
        "ADDRESS_PER_SECOND": "10",
        "ADDRESS_PER_MINUTE": "100",
        "ADDRESS_PER_DAY": "10000",
    }
    assert (chosen.knobs("zoom"), chosen.knobs("google")) == (["--set", "daily_limit=3"], [])
    assert (Tuning().settings, Tuning().knobs("zoom")) == ({}, [])
