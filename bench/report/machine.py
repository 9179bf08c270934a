"""Facts about a run: the machine, its load, the revision of the tree."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def facts() -> dict[str, Any]:
    """Return what stays the same during a run: processor, memory, system, Python."""
    return {
        "cores": os.cpu_count(),
        "cpu": _named("/proc/cpuinfo", "model name"),
        "memory": _named("/proc/meminfo", "MemTotal"),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def revision() -> dict[str, Any]:
    """Return the commit, and whether the tree differs from it; None where git does not say."""
    changed = _git("status", "--porcelain")
    return {
        "revision": _git("rev-parse", "HEAD"),
        "changed": None if changed is None else changed != "",
    }


def load() -> dict[str, float]:
    """Return the load average of a minute, and CPU seconds since boot: in total, idle, stolen."""
    ticks = os.sysconf("SC_CLK_TCK")
    times = [int(part) / ticks for part in _first_line("/proc/stat").split()[1:9]] or [0.0] * 8
    return {"load_1m": os.getloadavg()[0], "cpu": sum(times), "idle": times[3], "steal": times[7]}


def between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the load at both ends, and the shares of CPU time that were idle and stolen in between."""
    passed = max(after["cpu"] - before["cpu"], 1e-9)
    return {
        "load_before": round(before["load_1m"], 2),
        "load_after": round(after["load_1m"], 2),
        "idle_share": round((after["idle"] - before["idle"]) / passed, 3),
        "steal_share": round((after["steal"] - before["steal"]) / passed, 3),
    }


def _first_line(path: str) -> str:
    file = Path(path)
    return file.read_text().partition("\n")[0] if file.exists() else ""


def _named(path: str, name: str) -> str | None:
    file = Path(path)
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
