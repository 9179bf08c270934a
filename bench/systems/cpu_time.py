"""CPU seconds of processes, read from /proc: steadier than wall-clock time on a busy machine."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
_PPID, _USED, _USED_END = 1, 11, 15  # indexes after the command's name, see proc_pid_stat(5)


def processes(facts: Mapping[str, Any]) -> dict[str, int]:
    """Return the process ids of a running system by name, out of its `stack.json`."""
    services = {name: int(one["pid"]) for name, one in facts["services"].items()}
    others = {name: int(facts[f"{name}_pid"]) for name in ("edge", "kafka", "postgres")}
    return services | others


def used(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds that each process has used so far, children included, ended ones as well."""
    stats = _stats()
    return {name: _tree(pid, stats) for name, pid in pids.items()}


@dataclass(frozen=True)
class _Stat:
    parent: int
    seconds: float


def _stats() -> dict[int, _Stat]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        seconds = sum(int(part) for part in fields[_USED:_USED_END]) / _TICKS
        found[int(folder.name)] = _Stat(int(fields[_PPID]), seconds)
    return found


def _tree(pid: int, stats: Mapping[int, _Stat]) -> float:
    mine = stats[pid].seconds if pid in stats else 0.0
    return mine + sum(_tree(child, stats) for child, one in stats.items() if one.parent == pid)
