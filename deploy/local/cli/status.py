"""`./hoop status`: what runs, where, and whether it is ready. Standard library only."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from local.cli.options import Exit
from local.cli.system_folder import is_alive, not_running, read_facts
from local.servers.ports import is_listening

PATIENCE = 5.0  # seconds for one response
DIRECT = build_opener(ProxyHandler({}))
"""Opens addresses of this machine without a proxy."""


@dataclass(frozen=True)
class PartStatus:
    """One part of a running system. `missing`: what it says that it still waits for."""

    name: str
    address: str
    pid: int | None
    ready: bool
    missing: str = ""


def run_status(*, local: Path, as_json: bool) -> int:
    """Print the state of every part; returns `OK` only if all are ready."""
    facts = read_facts(local)
    if facts is None:
        if as_json:
            print(json.dumps({"running": False, "local": str(local)}))
            return Exit.FAILED
        return not_running(local)
    with ThreadPoolExecutor() as threads:
        parts = list(threads.map(lambda look: look(), _looks(facts)))
    ready = all(part.ready for part in parts)
    if as_json:
        shown = {"running": True, "ready": ready, "base_url": facts["base_url"]}
        print(json.dumps({**shown, "parts": [asdict(part) for part in parts]}))
    else:
        print(f"Hoop at {facts['base_url']} (process {facts['pid']}, {local})")
        for part in parts:
            print(line_of(part))
    return Exit.OK if ready else Exit.FAILED


def line_of(part: PartStatus) -> str:
    """One part on one line."""
    mark = "✓" if part.ready else "✗"
    pid = f"process {part.pid}" if part.pid else ""
    return f"  {mark} {part.name:<14} {part.address:<28} {pid} {part.missing}".rstrip()


def _looks(facts: Mapping[str, Any]) -> Iterator[Any]:
    """One function for each part, which looks whether it is ready."""
    for name, service in facts["services"].items():
        yield lambda name=name, it=service: _service(name, it["url"], it["pid"])
    for name, address in facts["simulators"].items():
        yield lambda name=name, address=address: _simulator(f"{name} (simulated)", address)
    yield lambda: _simulator("mail (simulated)", facts["mail"]["inbox_url"])
    yield lambda: _server("kafka", facts["kafka_bootstrap"], facts["kafka_pid"])
    postgres = next(iter(facts["postgres"].values())).rpartition("@")[2].partition("/")[0]
    yield lambda: _server("postgres", postgres, facts["postgres_pid"])


def _service(name: str, address: str, pid: int) -> PartStatus:
    try:
        with DIRECT.open(f"{address}/health/ready", timeout=PATIENCE):
            return PartStatus(name, address, pid, ready=True)
    except HTTPError as refusal:
        return PartStatus(name, address, pid, ready=False, missing=_failing(refusal.read()))
    except (URLError, OSError) as error:
        return PartStatus(name, address, pid, ready=False, missing=f"no response: {error}")


def _failing(body: bytes) -> str:
    try:
        checks = json.loads(body)["checks"]
        return "waits for " + ", ".join(name for name, good in checks.items() if not good)
    except (ValueError, LookupError, TypeError, AttributeError):
        return "not ready"


def _simulator(name: str, address: str) -> PartStatus:
    try:
        with DIRECT.open(f"{address}/_sim/settings", timeout=PATIENCE):
            return PartStatus(name, address, None, ready=True)
    except (URLError, OSError) as error:
        return PartStatus(name, address, None, ready=False, missing=f"no response: {error}")


def _server(name: str, address: str, pid: int) -> PartStatus:
    port = int(address.rpartition(":")[2])
    if not is_alive(pid):
        return PartStatus(name, address, pid, ready=False, missing="its process has ended")
    listens = is_listening(port)
    missing = "" if listens else "it does not listen"
    return PartStatus(name, address, pid, ready=listens, missing=missing)
