"""Fail points: inert unless armed, once at the passing that was asked for."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hoop_platform import failpoints
from hoop_platform.failpoints import fp

PROGRAM = """
import asyncio, sys
from hoop_platform import failpoints
failpoints.arm(sys.argv[1])
asyncio.run(failpoints.fp("here"))
print("passed", flush=True)
"""


async def test_nothing_happens_where_nothing_is_armed() -> None:
    await fp("anywhere")


async def test_at_the_asked_passing_and_once() -> None:
    failpoints.arm("here=raise:3,there=raise")
    await fp("here")
    await fp("here")
    with pytest.raises(RuntimeError, match="failpoint here"):
        await fp("here")
    await fp("here")
    with pytest.raises(RuntimeError, match="failpoint there"):
        await fp("there")


async def test_it_can_hang() -> None:
    failpoints.arm("here=hang")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(fp("here"), 0.05)


def test_it_can_die() -> None:
    command = [sys.executable, "-c", PROGRAM, "here=kill"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_it_can_freeze() -> None:
    command = [sys.executable, "-c", PROGRAM, "here=stop"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as frozen:
        with pytest.raises(subprocess.TimeoutExpired):
            frozen.wait(1.5)
        frozen.send_signal(signal.SIGCONT)
        assert frozen.communicate(timeout=30)[0] == b"passed\n"


async def test_a_file_orders_it_too(tmp_path: Path) -> None:
    """Whoever removes the file obeys it: one process of several."""
    failpoints.watch(tmp_path)
    try:
        await fp("here")
        (tmp_path / "here").write_text("raise\n")
        with pytest.raises(RuntimeError, match="failpoint here"):
            await fp("here")
        await fp("here")
    finally:
        failpoints.watch(None)
