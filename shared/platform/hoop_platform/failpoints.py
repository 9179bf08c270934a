"""Failpoints: named points at which a test makes the process die, freeze, hang or fail.

Inert unless the settings arm them, by name (`failpoints`) or by files in a folder (`failpoint_dir`).
"""

import asyncio
import os
import signal
from pathlib import Path


class Failpoints:
    """The armed failpoints of one process."""

    def __init__(self) -> None:
        self._armed: dict[str, tuple[str, int]] = {}
        self._folder: Path | None = None

    def arm(self, spec: str) -> None:
        """Arm from `name=kill:3,other=stop:1,third=raise:2`: the action runs once, at the n-th pass."""
        for part in filter(None, spec.split(",")):
            name, _, rest = part.partition("=")
            action, _, count = rest.partition(":")
            self._armed[name.strip()] = (action, int(count or 1))

    def armed(self) -> frozenset[str]:
        """The names that are armed and whose action has not run yet."""
        return frozenset(self._armed)

    def disarm(self) -> None:
        """Disarm all that were armed by name."""
        self._armed.clear()

    def watch(self, folder: Path | None) -> None:
        """Arm from a folder as well: a file `name` that holds an action; the first pass runs it."""
        self._folder = folder

    async def pass_through(self, name: str) -> None:
        """Run the action that is due at this failpoint, if any."""
        if self._folder is not None and (action := _take_file(self._folder / name)):
            await _run(action, name)
        if not self._armed or name not in self._armed:
            return
        action, left = self._armed[name]
        if left > 1:
            self._armed[name] = (action, left - 1)
            return
        del self._armed[name]
        await _run(action, name)


_process = Failpoints()
arm, armed, disarm, watch, fp = (
    _process.arm,
    _process.armed,
    _process.disarm,
    _process.watch,
    _process.pass_through,
)
"""Of this process, since its death or freeze is what is tested."""


def _take_file(path: Path) -> str | None:
    """The action in a file; of several processes, the one that removes the file runs it."""
    try:
        action = path.read_text().strip()
        path.unlink()
    except FileNotFoundError:
        return None
    return action


async def _run(action: str, name: str) -> None:
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "hang":
            await asyncio.sleep(3600)
        case _:
            raise RuntimeError(f"failpoint {name}")
