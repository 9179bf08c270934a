"""Places where a test may make a process die or freeze. Inert unless the environment arms them."""

import asyncio
import os
import signal
from pathlib import Path

_armed: dict[str, tuple[str, int]] = {}
_folder: Path | None = None


def arm(spec: str) -> None:
    """Arm from `name=kill:3,other=stop:1,third=raise:2`: at the n-th passing, once."""
    for part in filter(None, spec.split(",")):
        name, _, action = part.partition("=")
        deed, _, count = action.partition(":")
        _armed[name.strip()] = (deed, int(count or 1))


def watch(folder: Path | None) -> None:
    """Arm from a folder as well: a file `name` that holds a deed does it to whoever passes first."""
    global _folder  # noqa: PLW0603 -- one process, one set of fail points
    _folder = folder


async def fp(name: str) -> None:
    """Pass a fail point."""
    if _folder is not None and (deed := _order(_folder / name)):
        await _do(deed, name)
    if not _armed or name not in _armed:
        return
    action, left = _armed[name]
    if left > 1:
        _armed[name] = (action, left - 1)
        return
    del _armed[name]
    await _do(action, name)


def _order(path: Path) -> str | None:
    """What a test ordered here; whoever removes the file, obeys it."""
    try:
        deed = path.read_text().strip()
        path.unlink()
    except FileNotFoundError:
        return None
    return deed


async def _do(deed: str, name: str) -> None:
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif deed == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif deed == "hang":
        await asyncio.sleep(3600)
    else:
        raise RuntimeError(f"fail point {name}")
