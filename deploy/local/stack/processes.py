"""The processes of one system: how each is started, under one supervisor, and when it is ready."""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession, ClientTimeout

from hoop_platform.config import with_database
from hoop_platform.db.migrate import migrate
from local.servers import kafka, postgres
from local.servers.ports import LOOPBACK, free_ports
from local.servers.process import CannotStart
from local.stack.supervisor import Process, Program, Supervisor, start_program
from local.stack.topology import SERVICES, Ports, environment, package_of, url

READY_LIMIT = 90.0  # seconds


class Progress(Protocol):
    """Receives what happens while a system starts, runs and stops."""

    def step(self, what: str, /) -> AbstractAsyncContextManager[None]:
        """A block that takes a while."""

    def say(self, text: str, /) -> None:
        """One line about an event, such as a restart."""

    def fetched(self, done: int, total: int, /) -> None:
        """How many of Kafka's jars are available."""


def choose_ports(gateway: int) -> Ports:
    """Free ports for all parts; `gateway` is the port of the public API, 0 picks that one as well."""
    names = ("gateway", "postgres", "kafka", "controller", "zoom", "google", "smtp", "mailbox")
    free = free_ports(len(names) + 1 + len(SERVICES))
    chosen = dict(zip((*names, "traces"), free, strict=False))
    if gateway:
        chosen["gateway"] = gateway
    services = dict(zip(SERVICES, free[len(names) + 1 :], strict=True))
    return Ports(**chosen, services=services)


@dataclass
class Processes:
    """The processes of one system; its data and logs are in `folder`."""

    folder: Path
    ports: Ports
    data_key: str
    split: bool
    supervisor: Supervisor
    database_url: str = field(default="", init=False)

    @property
    def base_url(self) -> str:
        """The base URL of the public API."""
        return url(self.ports.gateway)

    @property
    def bootstrap(self) -> str:
        """The bootstrap address of Kafka."""
        return f"{LOOPBACK}:{self.ports.kafka}"

    async def start_postgres(self) -> None:
        async def start() -> Process:
            folder = self.folder / "postgres"
            server = await postgres.start(folder, port=self.ports.postgres, durable=True)
            self.database_url = server.dsn
            return server

        await self.supervisor.run("postgres", start)

    async def start_kafka(self, progress: Progress) -> None:
        async def start() -> Process:
            return await kafka.start(
                self.folder / "kafka",
                port=self.ports.kafka,
                controller_port=self.ports.controller,
                on_progress=progress.fetched,
            )

        await self.supervisor.run("kafka", start)

    async def migrate(self) -> None:
        """Create the databases of the services and of the request limits, and bring their schemas up to date.

        Raises `MigrationChanged` or `OtherVersion` for data of another version.
        """
        limits = with_database(self.database_url, "limits")
        await asyncio.gather(
            migrate(limits, "hoop_platform.limits", platform=False),
            *(migrate(self.database_of(name), package_of(name)) for name in SERVICES),
        )

    def database_of(self, name: str) -> str:
        """The DSN of a service's database."""
        return with_database(self.database_url, package_of(name))

    async def start_simulator(self, name: str) -> None:
        """Start the simulator of a provider; its state file keeps its data from run to run."""
        port = {"zoom": self.ports.zoom, "google": self.ports.google, "mail": self.ports.smtp}[name]
        command = [sys.executable, "-m", "simulators", name, "--port", str(port)]
        if name == "mail":
            command += ["--http-port", str(self.ports.mailbox)]
        command += ["--log-file", str(self.folder / "logs" / f"{name}-requests.jsonl")]
        command += ["--state-file", str(self.folder / f"{name}.state")]
        program = await self._start_program(name, command)
        await until_ok(url(self.ports.mailbox if name == "mail" else port) + "/_sim/log", program)

    async def start_services(self) -> None:
        """Start all services, in one process or in one each with a gateway; return once all are ready."""
        folder = str(self.folder / "logs")
        if self.split:
            await self._start_each(folder)
        else:
            command = [sys.executable, "-m", "local.stack.all_in_one", folder]
            program = await self._start_program("hoop", command, self.ports.gateway)
            await until_ok(self.base_url + "/health/ready", program)

    async def _start_each(self, folder: str) -> None:
        started = {
            self.ports.services[name]: await self._start_program(
                name,
                [sys.executable, "-m", package_of(name), "serve", folder],
                self.ports.services[name],
            )
            for name in SERVICES
        }
        pairs = [f"{name}={port}" for name, port in self.ports.services.items()]
        module = "local.stack.dev_gateway"
        command = [sys.executable, "-m", module, str(self.ports.gateway), *pairs, folder]
        gateway = await self._start_program("gateway", command)
        await asyncio.gather(
            until_ok(self.base_url + "/health/live", gateway),
            *(until_ok(url(port) + "/health/ready", one) for port, one in started.items()),
        )

    async def _start_program(self, name: str, command: list[str], port: int = 0) -> Program:
        async def start() -> Program:
            return await start_program(
                name,
                command,
                folder=self.folder / "logs",
                environment={**self._environment(name), "HTTP_PORT": str(port)},
            )

        return await self.supervisor.run(name, start)

    def _environment(self, program: str) -> dict[str, str]:
        """The environment of a program; FAILPOINT_DIR becomes the subfolder of the program's name."""
        settings = environment(self.ports, data_key=self.data_key, database_url=self.database_url)
        folder = os.environ.get("FAILPOINT_DIR")  # noqa: TID251 -- passed on to the services
        return {**settings, **({"FAILPOINT_DIR": f"{folder}/{program}"} if folder else {})}

    async def bootstrap_account(self) -> dict[str, Any]:
        """Create the demo account, or find the one of a former run, with `python -m accounts bootstrap`."""
        state = self.folder / "demo-account.json"
        command = [sys.executable, "-m", "accounts", "bootstrap", "--state", str(state), "--json"]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=self._environment("hoop"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise CannotStart(f"accounts bootstrap: {done.stderr.strip() or done.stdout.strip()}")
        account: dict[str, Any] = json.loads(done.stdout)
        return account


async def until_ok(address: str, program: Program) -> None:
    """Poll until the program's address responds with 200.

    Raises `CannotStart` when the program ends, and after `READY_LIMIT` seconds.
    """
    deadline = time.monotonic() + READY_LIMIT
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        while time.monotonic() < deadline:
            try:
                async with http.get(address) as response:
                    if response.status == 200:
                        return
            except (ClientError, TimeoutError, OSError):
                pass  # not listening yet
            if not program.alive:
                break
            await asyncio.sleep(0.05)
    what = "ended at its start" if not program.alive else f"not ready within {READY_LIMIT:.0f} s"
    name, log = program.server.name, program.server.log
    raise CannotStart(f"{name}: {what}. The end of {log}:\n{program.server.last_lines()}")
