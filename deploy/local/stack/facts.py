"""`stack.json`: the addresses, process ids and demo account of a running system, for other programs."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.servers.ports import LOOPBACK
from local.stack.processes import Processes
from local.stack.topology import SERVICES, url


def facts(processes: Processes, demo: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `stack.json`; `demo` holds the keys that describe the demo account."""
    ports, split, pid = processes.ports, processes.split, processes.supervisor.pid
    return {
        "base_url": processes.base_url,
        **demo,
        "limits": processes.tuning.limits,
        "kafka_bootstrap": processes.bootstrap,
        "postgres": {name: processes.database_of(name) for name in SERVICES},
        "simulators": {"zoom": url(ports.zoom), "google": url(ports.google)},
        "mail": {"smtp": f"{LOOPBACK}:{ports.smtp}", "inbox_url": url(ports.mailbox)},
        "spans_url": url(ports.traces),
        "services": {
            name: {
                "url": url(ports.services[name]) if split else processes.base_url,
                "pid": pid(name if split else "hoop"),
            }
            for name in SERVICES
        },
        "edge_pid": pid("gateway" if split else "hoop"),
        "kafka_pid": pid("kafka"),
        "postgres_pid": pid("postgres"),
        "postgres_log": str(processes.folder / "postgres" / "postgres.log"),
        "kafka_log": str(processes.folder / "kafka" / "kafka.log"),
        "logs": str(processes.folder / "logs"),
        "pid": os.getpid(),
    }


def write_facts(file: Path, content: Mapping[str, Any]) -> None:
    """Replace the file atomically; only this user may read the API key in it."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.chmod(0o600)
    draft.replace(file)
