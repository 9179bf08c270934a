"""Start and stop of a whole system: the order of its parts, and `stack.json` while it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hoop_platform.secrets import new_key
from local.paths import STACK_FILE
from local.stack.facts import facts, write_facts
from local.stack.patience import Progress, together
from local.stack.processes import Processes, choose_ports
from local.stack.supervisor import Supervisor
from local.stack.topology import SIMULATORS, Tuning
from local.stack.trace_collector import TraceCollector


class Stack:
    """One system with its data in `folder`: start it, read its facts, stop it.

    port: the port of the public API; 0 picks a free one.
    split: one process for each service and a gateway, instead of one process for all services.

    Whatever ends is started again.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        split: bool,
        progress: Progress,
        tuning: Tuning = Tuning(),  # noqa: B008 -- an immutable value
    ) -> None:
        self.folder = folder
        self.traces = TraceCollector()
        self._progress = progress
        self._demo: Mapping[str, Any] | None = None
        self._supervisor = Supervisor(progress.say, self._write)
        self._processes = Processes(
            folder=folder,
            ports=choose_ports(port),
            data_key=_data_key(folder),
            split=split,
            supervisor=self._supervisor,
            progress=progress,
            tuning=tuning,
        )

    @property
    def base_url(self) -> str:
        """The base URL of the public API."""
        return self._processes.base_url

    async def start(self) -> dict[str, Any]:
        """Start servers, schemas and topics, simulators, then services; returns the demo account."""
        step, processes = self._progress.step, self._processes
        await self.traces.listen(processes.ports.traces)
        async with step("PostgreSQL and Kafka"):
            await together(processes.start_postgres(), processes.start_kafka())
        async with step("schemas and topics"):
            await together(processes.create_topics(), processes.migrate())
        async with step("simulators of Zoom, Google and a mail server"):
            await together(*(processes.start_simulator(name) for name in SIMULATORS))
        async with step("services"):
            account = await processes.bootstrap_account()
            await processes.start_services()
        self._supervisor.watch()
        return account

    def announce(self, demo: Mapping[str, Any]) -> None:
        """Write `stack.json`, with the keys of the demo account."""
        self._demo = demo
        self._write()

    def facts(self) -> dict[str, Any]:
        """The content of `stack.json`."""
        assert self._demo is not None
        return facts(self._processes, self._demo)

    def _write(self) -> None:
        if self._demo is not None:
            write_facts(self.folder / STACK_FILE, self.facts())

    async def stop(self) -> None:
        """Stop everything and remove `stack.json`."""
        (self.folder / STACK_FILE).unlink(missing_ok=True)
        await self._supervisor.stop()
        await self.traces.close()


def _data_key(folder: Path) -> str:
    """The key that encrypts the secrets of this folder, created at the first start."""
    path = folder / "data.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(new_key())
    return path.read_text()
