"""The processes of one system: how each is started, under one supervisor, and when it is ready."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hoop_platform.config import with_database
from hoop_platform.db.migrate import migrate
from hoop_platform.kafka.topics import ensure_topics
from local.servers import kafka, postgres
from local.servers.ports import LOOPBACK, free_ports
from local.servers.process import CannotStart, run_to_end
from local.stack.patience import Progress, together, until_done, until_ok
from local.stack.supervisor import Process, Program, Supervisor, start_program
from local.stack.topology import SERVICES, Ports, Tuning, environment, package_of, url

MIGRATIONS_AT_ONCE = 2
"""A new database is a copy of files: more at once wait for the disk until their connections time out."""
ACCOUNT_LIMIT = 180.0  # seconds
STARTS = 3
"""Tries of a program that ends before it is ready: on a busy machine its own deadlines may run out."""


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
    progress: Progress
    tuning: Tuning
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

        with self.progress.waiting("PostgreSQL"):
            await self.supervisor.run("postgres", start)

    async def start_kafka(self) -> None:
        async def start() -> Process:
            return await kafka.start(
                self.folder / "kafka",
                port=self.ports.kafka,
                controller_port=self.ports.controller,
                on_progress=self.progress.fetched,
            )

        with self.progress.waiting("Kafka"):
            await self.supervisor.run("kafka", start)

    async def create_topics(self) -> None:
        with self.progress.waiting("topics of Kafka"):
            await until_done("Kafka's topics", lambda: ensure_topics(self.bootstrap))

    async def migrate(self) -> None:
        """Create the databases of the services and of the request limits, and bring their schemas up to date.

        Raises `MigrationChanged` or `OtherVersion` for data of another version.
        """
        few = asyncio.Semaphore(MIGRATIONS_AT_ONCE)

        async def one(database: str, package: str, *, platform: bool = True) -> None:
            dsn = with_database(self.database_url, database)
            async with few:
                with self.progress.waiting(f"schema of {database}"):
                    await until_done(
                        f"the schema of {database}",
                        lambda: migrate(dsn, package, platform=platform),
                    )

        packages = map(package_of, SERVICES)
        await together(
            one("limits", "hoop_platform.limits", platform=False),
            *(one(package, package) for package in packages),
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
        command += self.tuning.knobs(name)
        ready = url(self.ports.mailbox if name == "mail" else port) + "/_sim/settings"
        await self._start_until_ready(name, command, ready)

    async def start_services(self) -> None:
        """Start all services, in one process or in one each with a gateway; return once all are ready."""
        folder = str(self.folder / "logs")
        if self.split:
            await self._start_each(folder)
        else:
            command = [sys.executable, "-m", "local.stack.all_in_one", folder]
            ready = self.base_url + "/health/ready"
            await self._start_until_ready("hoop", command, ready, self.ports.gateway)

    async def _start_each(self, folder: str) -> None:
        ports = self.ports.services
        pairs = [f"{name}={port}" for name, port in ports.items()]
        module = "local.stack.dev_gateway"
        gateway = [sys.executable, "-m", module, str(self.ports.gateway), *pairs, folder]
        await together(
            self._start_until_ready("gateway", gateway, self.base_url + "/health/live"),
            *(
                self._start_until_ready(
                    name,
                    [sys.executable, "-m", package_of(name), "serve", folder],
                    url(ports[name]) + "/health/ready",
                    ports[name],
                )
                for name in SERVICES
            ),
        )

    async def _start_until_ready(
        self, name: str, command: list[str], ready: str, port: int = 0
    ) -> None:
        """Start a program and wait until `ready` responds; again, if the program ends before."""
        for left in reversed(range(STARTS)):
            program = await self._start_program(name, command, port)
            try:
                with self.progress.waiting(name):
                    await until_ok(ready, program)
            except CannotStart as problem:
                if program.alive or not left:
                    raise
                self.progress.say(f"{problem}; it is started again")
            else:
                return

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
        settings |= self.tuning.settings
        folder = os.environ.get("FAILPOINT_DIR")  # noqa: TID251 -- passed on to the services
        return {**settings, **({"FAILPOINT_DIR": f"{folder}/{program}"} if folder else {})}

    async def bootstrap_account(self) -> dict[str, Any]:
        """Create the demo account, or find the one of a former run, with `python -m accounts bootstrap`."""
        state = self.folder / "demo-account.json"
        command = [sys.executable, "-m", "accounts", "bootstrap", "--state", str(state), "--json"]
        done = await run_to_end(
            command,
            limit=ACCOUNT_LIMIT,
            folder=self.folder,
            environment=self._environment("hoop"),
        )
        if done.code:
            raise CannotStart(f"The demo account could not be made: {done.last_words}")
        account: dict[str, Any] = json.loads(done.output)
        return account
