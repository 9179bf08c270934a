"""A whole system of the bench's own: started in a folder that goes with it, stopped whatever happens."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .machine import ROOT
from .plan import Broken

START_LIMIT = 240.0  # seconds; a first start fetches Kafka
STOP_LIMIT = 60.0


@asynccontextmanager
async def running() -> AsyncIterator[dict[str, Any]]:
    """One process for each service, on free ports of loopback: yields what its stack.json says."""
    base = new_folder()
    process = _start(base)
    try:
        yield await _ready(base, process)
    finally:
        await asyncio.to_thread(_stop, process)
        shutil.rmtree(base, ignore_errors=True)


def new_folder() -> Path:
    """Of the bench's own, to be removed by who asked."""
    folder = Path(tempfile.mkdtemp(prefix="hoop-bench-"))
    folder.chmod(0o711)  # PostgreSQL, which never runs as root, has to pass
    return folder


def _start(base: Path) -> subprocess.Popen[bytes]:
    options = ["--split", "--no-demo", "--port", "0", "--local", str(base / "local")]
    with (base / "out").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "local", "up", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us; we end it in order
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
