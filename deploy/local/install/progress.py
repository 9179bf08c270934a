"""A long command with its progress: on one line of a terminal, or as lines in a log."""

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LAST_LINES = 25  # printed of the output of a failed installer
INTERVAL = 15.0  # seconds between two lines of progress in a log
COLLECTED = re.compile(rb"^Collecting ", re.MULTILINE)

Show = Callable[[float | None, str], None]
"""Receives the seconds so far, or None at the end, and what is going on."""


@dataclass(frozen=True)
class Counted:
    """Packages that appear in an environment, to be counted while they do."""

    venv: Path
    total: int

    def shown(self, output: bytes) -> str:
        """How far the installer is: first it fetches, then it installs."""
        installed = sum(1 for _ in self.venv.glob("lib/python3*/site-packages/*.dist-info"))
        collected = len(COLLECTED.findall(output))
        if collected and b"Installing collected packages" not in output:
            return f"downloaded {min(collected, self.total) - 1} of {self.total} packages"
        return f"installed {min(installed, self.total)} of {self.total} packages"


def say(text: str) -> None:
    """A line to stderr: stdout belongs to the command."""
    print("hoop: " + text, file=sys.stderr, flush=True)


def run_shown(
    title: str,
    command: Sequence[str | Path],
    lock: IO[str],
    environment: Mapping[str, str],
    counted: Counted | None = None,
) -> str | None:
    """Run a long command and show its progress; None if it succeeded, else its output, which is printed."""
    # The command inherits the lock: if this process is killed, no other one installs meanwhile.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        pass_fds=[lock.fileno()],
    )
    assert process.stdout is not None
    try:
        output = _follow(process.stdout, title, counted)
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if process.wait() == 0:
        return None
    text = output.decode(errors="replace")
    say("\n    ".join([f"failed: {title}", *text.splitlines()[-LAST_LINES:]]))
    return text


def _follow(stream: IO[bytes], title: str, counted: Counted | None) -> bytes:
    """Read and return the output of a command, and show its progress meanwhile."""
    output, begin, show = b"", time.monotonic(), _progress(title)
    while True:
        if select.select([stream], [], [], 0.5)[0]:
            chunk = os.read(stream.fileno(), 65_536)
            if not chunk:
                show(None, "")
                return output
            output += chunk
        last = output.decode(errors="replace").strip().rpartition("\n")[2].strip()
        count = f"{counted.shown(output)}  " if counted else ""
        show(time.monotonic() - begin, count + last)


def _progress(title: str) -> Show:
    """The function that shows progress where stderr leads."""
    next_line = INTERVAL

    def log(seconds: float | None, text: str) -> None:
        nonlocal next_line
        if seconds is not None and seconds > next_line:
            next_line += INTERVAL
            say(f"  … {seconds:.0f} s  {text[:100]}")

    def line(seconds: float | None, text: str) -> None:
        shown = "" if seconds is None else f"hoop: {title} … {seconds:.0f} s  {text}"
        sys.stderr.write("\r\033[K" + shown[: shutil.get_terminal_size().columns - 1])
        sys.stderr.flush()

    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":  # noqa: TID251 - runs before hoop_platform.config is installed
        return line
    say(title)
    return log
