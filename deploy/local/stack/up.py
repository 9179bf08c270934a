"""`./hoop up`: starts every part, makes the demo account, says where everything is, stops it cleanly."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout

from hoop_platform.config import with_database
from hoop_platform.db.migrate import migrate
from hoop_platform.kafka.topics import ensure_topics
from hoop_platform.secrets import new_key
from local.cli.console import Terminal
from local.cli.options import STACK_FILE, Exit, UpOptions
from local.demo.demo_data import DemoData, SetupFailed, prepare_demo
from local.demo.demonstration import demonstrate
from local.servers import kafka, postgres
from local.servers.ports import free_ports
from local.servers.process import CannotStart, disown, own
from local.stack.supervisor import Process, Supervisor, start_program
from local.stack.topology import SERVICES, SIMULATORS, Ports, environment, service, url
from local.stack.trace_collector import TraceCollector

READY_LIMIT = 90.0  # seconds


@dataclass
class Stack:
    """One running system in one folder."""

    options: UpOptions
    ports: Ports
    data_key: str
    teller: Terminal
    supervisor: Supervisor = field(init=False)
    spans: TraceCollector = field(default_factory=TraceCollector)
    database_url: str = ""
    demo: DemoData | None = None
    watching: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.teller.say, self.write)

    @property
    def base_url(self) -> str:
        return url(self.ports.edge)

    @property
    def folder(self) -> Path:
        return self.options.local

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.ports.kafka}"

    async def start(self) -> None:
        """Everything, in order: foundations, schemas and topics, simulators, services, demo data."""
        step = self.teller.step
        await self.spans.listen(self.ports.spans)
        async with step("PostgreSQL and Kafka"):
            await asyncio.gather(self._start_postgres(), self._start_kafka())
        async with step("schemas and topics"):
            await asyncio.gather(
                ensure_topics(self.bootstrap),
                migrate(
                    with_database(self.database_url, "limits"),
                    "hoop_platform.limits",
                    platform=False,
                ),
                *(self._migrate(name) for name in SERVICES),
            )
        async with step("simulators of Zoom, Google and a mail server"):
            await asyncio.gather(*(self._start_simulator(name) for name in SIMULATORS))
        async with step("services"):
            accounts = await self._bootstrap()
            await self._start_services()
            await self._until_ready()
        async with step("demo account: calendars, Zoom and Google connected"):
            self.demo = await prepare_demo(self.base_url, accounts)
        if self.options.split:
            self.watching = asyncio.ensure_future(self.supervisor.watch())  # noqa: TID251 -- ended by stop()
        self.write()

    async def _start_postgres(self) -> None:
        async def start() -> Process:
            folder = self.folder / "postgres"
            server = await postgres.start(folder, port=self.ports.postgres, durable=True)
            self.database_url = server.dsn
            return server

        await self.supervisor.keep("postgres", start)

    async def _start_kafka(self) -> None:
        async def start() -> Process:
            return await kafka.start(
                self.folder / "kafka",
                port=self.ports.kafka,
                controller_port=self.ports.controller,
                on_progress=self.teller.fetched,
            )

        await self.supervisor.keep("kafka", start)

    async def _migrate(self, name: str) -> None:
        package = service(name).package
        await migrate(with_database(self.database_url, package), package)

    async def _start_simulator(self, name: str) -> None:
        port = {"zoom": self.ports.zoom, "google": self.ports.google, "mail": self.ports.smtp}[name]
        command = [sys.executable, "-m", "simulators", name, "--port", str(port)]
        if name == "mail":
            command += ["--http-port", str(self.ports.inbox)]
        log_file = self.folder / "logs" / f"{name}-requests.jsonl"
        command += ["--log-file", str(log_file)]
        command += [
            "--state-file",
            str(self.folder / f"{name}.state"),
        ]  # so that it knows yesterday
        await self._program(name, command)
        await _answers(url(self.ports.inbox if name == "mail" else port) + "/_sim/log")

    async def _start_services(self) -> None:
        folder = str(self.folder / "logs")
        if not self.options.split:
            await self._program(
                "hoop", [sys.executable, "-m", "local.stack.all_in_one", folder], self.ports.edge
            )
            return
        for name in SERVICES:
            command = [sys.executable, "-m", service(name).package, "serve", folder]
            await self._program(name, command, self.ports.services[name])
        pairs = [f"{name}={port}" for name, port in self.ports.services.items()]
        edge = [
            sys.executable,
            "-m",
            "local.stack.dev_gateway",
            str(self.ports.edge),
            *pairs,
            folder,
        ]
        await self._program("edge", edge)

    async def _program(self, name: str, command: list[str], port: int = 0) -> None:
        async def start() -> Process:
            return await start_program(
                name,
                command,
                folder=self.folder / "logs",
                environment={**self._settings(name), "HTTP_PORT": str(port)},
            )

        await self.supervisor.keep(name, start)

    def _settings(self, program: str = "hoop") -> dict[str, str]:
        """Its environment; tests arm fail points of one program by a folder of its name."""
        mine = environment(self.ports, data_key=self.data_key, database_url=self.database_url)
        orders = os.environ.get("FAILPOINT_DIR")  # noqa: TID251 -- handed on to the services
        return {**mine, **({"FAILPOINT_DIR": f"{orders}/{program}"} if orders else {})}

    async def _bootstrap(self) -> dict[str, Any]:
        """The demo account, made by the command that operators use as well."""
        keep = self.folder / "demo-account.json"
        command = [sys.executable, "-m", "accounts", "bootstrap", "--state", str(keep), "--json"]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=self._settings(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise CannotStart(f"accounts bootstrap: {done.stderr.strip() or done.stdout.strip()}")
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    async def _until_ready(self) -> None:
        ports = self.ports.services.values() if self.options.split else [self.ports.edge]
        await asyncio.gather(*(_answers(url(port) + "/health/ready") for port in ports))
        await _answers(self.base_url + "/health/live")

    def write(self) -> None:
        """Write `stack.json` anew, whole or not at all."""
        if self.demo is None:
            return
        path = self.folder / STACK_FILE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(self.facts(), indent=2) + "\n")
        draft.chmod(0o600)
        draft.replace(path)

    def facts(self) -> dict[str, Any]:
        """What scripts and other programs want to know."""
        assert self.demo is not None
        kept, ports = self.supervisor, self.ports
        accounts = self.demo.accounts
        split = self.options.split
        return {
            "base_url": self.base_url,
            **accounts,
            "calendar_id": self.demo.calendar_id,
            "class_calendar_id": self.demo.class_calendar_id,
            "kafka_bootstrap": self.bootstrap,
            "postgres": {
                name: with_database(self.database_url, service(name).package) for name in SERVICES
            },
            "simulators": {"zoom": url(ports.zoom), "google": url(ports.google)},
            "mail": {"smtp": f"127.0.0.1:{ports.smtp}", "inbox_url": url(ports.inbox)},
            "spans_url": url(ports.spans),
            "services": {
                name: {
                    "url": url(ports.services[name]) if split else self.base_url,
                    "pid": kept.pid(name if split else "hoop"),
                }
                for name in SERVICES
            },
            "edge_pid": kept.pid("edge" if split else "hoop"),
            "kafka_pid": kept.pid("kafka"),
            "postgres_pid": kept.pid("postgres"),
            "postgres_log": str(self.folder / "postgres" / "postgres.log"),
            "pid": os.getpid(),
        }

    async def stop(self) -> None:
        """Stop everything; the file goes with it."""
        (self.folder / STACK_FILE).unlink(missing_ok=True)
        await self.supervisor.stop()
        if self.watching:
            await self.watching
        await self.spans.close()


async def _answers(address: str) -> None:
    """Wait until something answers 200 there."""
    deadline = time.monotonic() + READY_LIMIT
    async with ClientSession(timeout=ClientTimeout(total=5)) as http:
        while time.monotonic() < deadline:
            try:
                async with http.get(address) as response:
                    if response.status == 200:
                        return
            except (ClientError, TimeoutError, OSError):
                pass  # not yet: that is what we wait for
            await asyncio.sleep(0.05)
    raise CannotStart(
        f"{address} was not ready within {READY_LIMIT:.0f} s; the logs lie beside it."
    )


def _ports(options: UpOptions) -> Ports:
    names = ("edge", "postgres", "kafka", "controller", "zoom", "google", "smtp", "inbox", "spans")
    free = free_ports(len(names) + len(SERVICES))
    chosen = dict(zip(names, free, strict=False))
    if options.port:
        chosen["edge"] = options.port
    services = dict(zip(SERVICES, free[len(names) :], strict=True))
    return Ports(**chosen, services=services)


def _data_key(folder: Path) -> str:
    """The key that seals this folder's secrets, made at the first start."""
    path = folder / "data.key"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(new_key())
    return path.read_text()


def run_up(options: UpOptions) -> int:
    """Run the system as asked; answers the exit code."""
    teller = Terminal(json=options.json)
    try:
        own(options.local)
        stack = Stack(options, _ports(options), _data_key(options.local), teller)
        return asyncio.run(_up(stack))
    except (CannotStart, SetupFailed) as error:
        teller.problem(str(error))
        return Exit.FAILED
    finally:
        disown(options.local)


async def _up(stack: Stack) -> int:
    leave = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, leave.set)
    try:
        return await _serve(stack, leave)
    finally:
        async with stack.teller.step("everything stopped"):
            await stack.stop()


async def _serve(stack: Stack, leave: asyncio.Event) -> int:
    """Start, demonstrate, stay; whatever is first told to end, ends it."""
    starting = asyncio.ensure_future(_start_and_show(stack))  # noqa: TID251 -- raced against the signal
    leaving = asyncio.ensure_future(leave.wait())  # noqa: TID251 -- as above
    try:
        await asyncio.wait({starting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return Exit.INTERRUPTED
        good = await starting
        if stack.options.once:
            return Exit.OK if good else Exit.FAILED
        stack.teller.invite(stack.facts())
        await leaving
    finally:
        starting.cancel()
        leaving.cancel()
        await asyncio.gather(starting, leaving, return_exceptions=True)
    return Exit.OK


async def _start_and_show(stack: Stack) -> bool:
    await stack.start()
    stack.teller.line(f"ready {stack.base_url} {stack.folder / STACK_FILE}")
    if not stack.options.demo:
        return True
    return await demonstrate(stack.facts(), stack.spans, stack.teller)
