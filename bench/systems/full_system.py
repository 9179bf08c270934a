"""A full system of the bench's own: started in a temporary folder, stopped and removed in any case."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bench.report.findings import Broken
from bench.report.machine import ROOT

COUNTED_UP = Path(__file__).with_name("counted_up.py")
START_LIMIT = 240.0  # seconds; a first start fetches Kafka
STOP_LIMIT = 60.0
STARTS = 3
"""Attempts: on a busy machine a start may exceed a time limit of its own."""


@asynccontextmanager
async def running_system(
    root: Path = ROOT, *, counted: bool = False
) -> AsyncIterator[dict[str, Any]]:
    """Run `./hoop up` of the tree at `root`; yield the contents of its stack.json.

    One process for each service, on free ports of loopback. `counted`: PostgreSQL counts statements,
    and no calendar is polled; for this tree alone. `Broken` if the system does not start.
    """
    command = (
        [sys.executable, "-P", str(COUNTED_UP)] if counted else [sys.executable, str(root / "hoop")]
    )
    async with AsyncExitStack() as opened:
        yield await _start_repeatedly(root, command, opened)


async def _start_repeatedly(
    root: Path, command: list[str], opened: AsyncExitStack
) -> dict[str, Any]:
    for _ in range(STARTS - 1):
        with suppress(Broken):
            return await _start_once(root, command, opened)
    return await _start_once(root, command, opened)


async def _start_once(root: Path, command: list[str], opened: AsyncExitStack) -> dict[str, Any]:
    """Start the system in a new folder; `opened` stops it and removes the folder."""
    base = new_folder()
    opened.callback(shutil.rmtree, base, ignore_errors=True)
    process = _start(root, command, base)
    opened.push_async_callback(asyncio.to_thread, _stop, process)
    return await _ready(base, process)


def new_folder() -> Path:
    """Return a new temporary folder, which the caller removes."""
    folder = Path(tempfile.mkdtemp(prefix="hoop-bench-"))
    folder.chmod(0o711)  # PostgreSQL, which never runs as root, has to pass
    return folder


def _start(root: Path, command: list[str], base: Path) -> subprocess.Popen[bytes]:
    options = ["--split", "--no-demo", "--json", "--port", "0", "--local", str(base / "local")]
    with (base / "out").open("wb") as log:
        return subprocess.Popen(
            [*command, "up", *options],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the bench, which stops the system in order
        )


async def _ready(base: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    file, deadline = base / "local" / "stack.json", time.monotonic() + START_LIMIT
    while not file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise Broken("the system did not start:\n" + (base / "out").read_text(errors="replace"))
        await asyncio.sleep(0.1)
    facts: dict[str, Any] = json.loads(file.read_text())
    return facts


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
