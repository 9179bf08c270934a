"""The folder `.venv`, the entries of a lock, and the error of an installation."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from local.paths import VENV

PYTHON = VENV / "bin" / "python"


class Missing(Exception):
    """A requirement that this machine does not meet; the text contains the command that fixes it."""


def pins_of(lock: Path) -> dict[str, str]:
    """The entries of a lock by their name: each begins in the first column."""
    entries: dict[str, str] = {}
    for line in lock.read_text().splitlines(keepends=True):
        if line[0].isalnum():
            name = line.partition("==")[0]
            entries[name] = ""
        if entries:
            entries[name] += line
    return entries


def remove_venv() -> None:
    """Remove .venv, whatever it is."""
    try:
        if VENV.is_symlink():
            VENV.unlink()
        if VENV.exists():
            shutil.rmtree(VENV)
    except OSError as error:
        raise Missing(f"cannot remove {error.filename}; try: sudo rm -r '{VENV}'") from error


def succeeds(command: Sequence[str | Path]) -> bool:
    """Whether the command can be run and exits with 0; its output is dropped."""
    return _run(command) is not None


def output_of(command: Sequence[str | Path]) -> str:
    """What the command writes; empty if it cannot be run or fails."""
    return (_run(command) or b"").decode(errors="replace")


def _run(command: Sequence[str | Path]) -> bytes | None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
