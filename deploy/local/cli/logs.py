"""`./hoop logs`: the logs of a system, that runs or has ended, with the name of the part on each line."""

import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.cli.options import Exit, WrongUsage

PAUSE = 0.3  # seconds between two looks while following


@dataclass
class LogFile:
    """One log, and how much of it was printed."""

    name: str
    path: Path
    position: int = 0

    def last(self, lines: int) -> list[str]:
        """The last lines; what is written from now on is `new`."""
        with self.path.open(errors="replace") as file:
            found = deque(file, maxlen=lines)
            self.position = file.tell()
        return list(found)

    def new(self) -> list[str]:
        """The whole lines that were written since; a file that has become shorter begins anew."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(self.position if size >= self.position else 0)
                content = file.read()
        except OSError:
            return []
        whole, newline, _ = content.rpartition(b"\n")
        self.position = min(self.position, size) + len(whole) + len(newline)
        return (whole + newline).decode(errors="replace").splitlines(keepends=True)


def run_logs(names: Sequence[str], *, local: Path, lines: int, follow: bool) -> int:
    """Print the last lines of these logs, or of all; with `follow` go on until Ctrl-C."""
    logs = chosen(names, find_logs(local), local)
    width = max(len(log.name) for log in logs)
    for log in logs:
        show(log, log.last(lines), width)
    while follow:
        time.sleep(PAUSE)
        for log in logs:
            show(log, log.new(), width)
    return Exit.OK


def find_logs(local: Path) -> list[LogFile]:
    """The logs in the folder of a system, sorted by name."""
    found = [
        *(path for path in (local / "logs").glob("*.log")),
        *(
            path
            for name in ("postgres", "kafka")
            if (path := local / name / f"{name}.log").exists()
        ),
    ]
    return sorted((LogFile(path.stem, path) for path in found), key=lambda log: log.name)


def chosen(names: Sequence[str], logs: Sequence[LogFile], local: Path) -> list[LogFile]:
    """The logs of these names. Raises `WrongUsage` for a name that there is no log of."""
    if not logs:
        raise WrongUsage(f"there are no logs in {local}: `./hoop up` writes them")
    known = {log.name for log in logs}
    if unknown := [name for name in names if name not in known]:
        raise WrongUsage(f"no log of {', '.join(unknown)}: there are {', '.join(sorted(known))}")
    return [log for log in logs if not names or log.name in names]


def show(log: LogFile, lines: Sequence[str], width: int) -> None:
    """Print the lines, each with the name of its part."""
    for line in lines:
        sys.stdout.write(f"{log.name:<{width}} | {line.rstrip()}\n")
    sys.stdout.flush()
