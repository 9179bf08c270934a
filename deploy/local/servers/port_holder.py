"""Who listens on a loopback port: another Hoop, by the folder of its system, or another program."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.servers.process import command_of

PROC = Path("/proc")
LISTENING = "0A"  # the state in /proc/net/tcp
EDGES = ("local.stack.all_in_one", "local.stack.dev_gateway")
"""The programs of a Hoop that listen on its port; their last argument is the folder of its logs."""


@dataclass(frozen=True)
class PortHolder:
    """The process that listens on a port. `system`: the folder of its Hoop, if it is one."""

    pid: int
    command: str
    system: Path | None

    def __str__(self) -> str:
        name = f"the Hoop in {self.system}" if self.system else Path(self.command.split()[0]).name
        return f"{name} (process {self.pid})"


def holder_of(port: int) -> PortHolder | None:
    """The process that listens on the port, if this user may know it (Linux only)."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for entry in PROC.glob("[0-9]*") if sockets else ():
        with contextlib.suppress(OSError):
            if any(str(link.readlink()) in sockets for link in (entry / "fd").iterdir()):
                return _holder(int(entry.name))
    return None


def _holder(pid: int) -> PortHolder | None:
    command = command_of(pid).strip()
    if not command:
        return None
    edge = next((each for each in EDGES if each in command), None)
    logs = re.search(r" (/.*)/logs$", command.partition(edge)[2]) if edge else None
    return PortHolder(pid, command, Path(logs[1]) if logs else None)


def _listening(port: int) -> Iterator[str]:
    """The inodes of the sockets that listen on the port, on any address of this machine."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                    yield words[9]
