"""The supervisor: restarts processes that end, after one second at first, then with growing delays."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from local.servers.process import ServerProcess, end_leftover, spawn

FIRST_DELAY, LONGEST_DELAY = 1.0, 30.0  # seconds before a restart
STABLE = 10.0  # seconds of uptime after which the delay is `FIRST_DELAY` again


class Process(Protocol):
    """A running process that can be stopped."""

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    async def stop(self) -> None: ...


P = TypeVar("P", bound=Process)


@dataclass(frozen=True)
class Program:
    """A running program of this repository; SIGTERM lets it finish the work in progress."""

    server: ServerProcess

    @property
    def pid(self) -> int:
        return self.server.pid

    @property
    def alive(self) -> bool:
        return self.server.alive

    async def stop(self) -> None:
        await self.server.stop(signal.SIGTERM, grace=25)


async def start_program(
    name: str, command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str]
) -> Program:
    """Start a program whose command contains `folder`; its output goes to `folder`/`name`.log.

    A process of this name that a killed run left behind is stopped first.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    await end_leftover(name, folder, signal.SIGTERM)
    log = folder / f"{name}.log"
    return Program(spawn(name, command, folder=folder, log=log, environment=environment))


@dataclass
class Supervised:
    """A process, the function that starts it, and its recent crashes."""

    name: str
    start: Callable[[], Awaitable[Process]]
    process: Process
    crashes: int = 0
    crashed_at: float = field(default=0.0)


class Supervisor:
    """Starts processes and restarts those that end.

    `report` receives a line about each crash and restart, `changed` is called after a restart.
    """

    def __init__(self, report: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.supervised: dict[str, Supervised] = {}
        self._report = report
        self._changed = changed
        self._stopping = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def run(self, name: str, start: Callable[[], Awaitable[P]]) -> P:
        """Start a process; `watch` restarts it with the same function."""
        process = await start()
        self.supervised[name] = Supervised(name, start, process)
        return process

    def pid(self, name: str) -> int:
        """The id of the process that currently runs under this name."""
        return self.supervised[name].process.pid

    def watch(self) -> None:
        """Restart processes that end from now on, until `stop` is called."""
        self._watching = asyncio.ensure_future(self._watch_all())  # noqa: TID251 -- ended by stop()

    async def _watch_all(self) -> None:
        async with asyncio.TaskGroup() as watches:
            for one in self.supervised.values():
                watches.create_task(self._watch(one))

    async def _watch(self, one: Supervised) -> None:
        while not self._stopping.is_set():
            if not one.process.alive:
                await self._restart(one)
            await self._pause(0.1)

    async def _restart(self, one: Supervised) -> None:
        now = time.monotonic()
        one.crashes = one.crashes + 1 if now - one.crashed_at < STABLE else 1
        one.crashed_at = now
        delay = min(FIRST_DELAY * 2 ** (one.crashes - 1), LONGEST_DELAY)
        self._report(f"{one.name} ended; restart in {delay:g} s")
        await self._pause(delay)
        if self._stopping.is_set():
            return
        try:
            one.process = await one.start()
        except Exception as error:  # noqa: BLE001 -- any failed restart is reported and tried again
            self._report(f"{one.name} did not start: {error}")
        else:
            self._report(f"{one.name} runs again (pid {one.process.pid})")
            self._changed()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def stop(self) -> None:
        """Stop all services side by side, then PostgreSQL and Kafka.

        A restart that is under way is cancelled first: what it has begun is stopped by its start.
        """
        self._stopping.set()
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        newest_first = list(self.supervised.values())[::-1]
        backends = [one for one in newest_first if one.name in ("postgres", "kafka")]
        others = [one for one in newest_first if one not in backends]
        await asyncio.gather(*(one.process.stop() for one in others))
        await asyncio.gather(*(one.process.stop() for one in backends))
