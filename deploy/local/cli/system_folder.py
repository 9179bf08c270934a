"""The folder of a system: claimed by `up`, read by the commands that look at a system. Standard library only."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.cli.options import Exit, WrongUsage, quoted
from local.paths import LOCAL, MARK, STACK_FILE

LONGEST_PATH = 700  # bytes; the servers add their own names, and PostgreSQL knows no path over 1024


def claim(folder: Path) -> None:
    """Create and mark the folder of a system, so that `clean` may remove it; refuse any other folder."""
    length = len(os.fsencode(folder))
    if length > LONGEST_PATH:
        raise WrongUsage(
            f"--local: this path has {length} bytes, and {LONGEST_PATH} is the most that the"
            " servers can work with. Choose a shorter one."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = {path.name for path in folder.iterdir()}
        if found and not found & {MARK, STACK_FILE} and folder != LOCAL:
            raise WrongUsage(
                f"--local: {folder} is not empty and was not created by `./hoop up`."
                " Choose an empty folder, or a new one."
            )
        (folder / MARK).touch()
    except (FileExistsError, NotADirectoryError) as error:
        taken = next((one for one in (folder, *folder.parents) if one.is_file()), folder)
        raise WrongUsage(f"--local: {taken} is a file. Choose a folder.") from error
    except OSError as error:
        raise WrongUsage(
            f"--local: {folder} cannot be written ({error.strerror}). Choose a folder of yours."
        ) from error


def read_facts(local: Path) -> Mapping[str, Any] | None:
    """The content of `stack.json`; None unless a system runs in this folder."""
    try:
        facts = json.loads((local / STACK_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) and is_alive(int(facts.get("pid", 0))) else None


def not_running(local: Path) -> int:
    """Says that no system runs in this folder, and how to start one; returns the exit code."""
    option = "" if local == LOCAL else f" --local {quoted(local)}"
    print(f"✗ No Hoop runs in {local}: start one with `./hoop up{option}`.", file=sys.stderr)
    return Exit.FAILED


def stack_pids(local: Path) -> set[int]:
    """The process ids in the stack.json of a system."""
    try:
        stack = json.loads((local / STACK_FILE).read_bytes())
    except (OSError, ValueError):
        return set()
    return set(_pids(stack))


def _pids(value: object) -> Iterator[int]:
    """Every number whose key is `pid` or ends with `_pid`, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, int) and (key == "pid" or key.endswith("_pid")):
                yield inner
            yield from _pids(inner)


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs, of any user."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
