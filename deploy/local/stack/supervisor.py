"""Keeps processes running: one that dies is started again, after a second, then with growing waits."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from local.servers.process import Server, end_leftover, spawn

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds
CALM = 10.0  # seconds after which a death is the first again


class Process(Protocol):
    """Something that was started and can be stopped."""

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True)
class Program:
    """A program of ours that runs; SIGTERM lets it finish what it has in hand."""

    server: Server

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
    """Start it with a log of its own in `folder`, which its command names.

    By that name one that was left over from a killed run is found, and ended first.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    await end_leftover(name, folder, signal.SIGTERM)
    log = folder / f"{name}.log"
    return Program(spawn(name, command, folder=folder, log=log, environment=environment))


@dataclass
class Kept:
    """A process that is to run, and how it is started."""

    name: str
    start: Callable[[], Awaitable[Process]]
    process: Process
    deaths: int = 0
    died_at: float = field(default=0.0)


class Supervisor:
    """Watches what it was given; `told` hears of every death and every return."""

    def __init__(self, told: Callable[[str], None], changed: Callable[[], None]) -> None:
        self.kept: dict[str, Kept] = {}
        self._told = told
        self._changed = changed
        self._stopping = asyncio.Event()

    async def keep(self, name: str, start: Callable[[], Awaitable[Process]]) -> Process:
        """Start it, and keep it running from now on."""
        process = await start()
        self.kept[name] = Kept(name, start, process)
        return process

    def pid(self, name: str) -> int:
        """The present process id."""
        return self.kept[name].process.pid

    async def watch(self) -> None:
        """Until `stop`: start again whatever dies."""
        async with asyncio.TaskGroup() as watches:
            for one in self.kept.values():
                watches.create_task(self._watch(one))

    async def _watch(self, one: Kept) -> None:
        while not self._stopping.is_set():
            if not one.process.alive:
                await self._revive(one)
            await self._pause(0.1)

    async def _revive(self, one: Kept) -> None:
        now = time.monotonic()
        one.deaths = one.deaths + 1 if now - one.died_at < CALM else 1
        one.died_at = now
        wait = min(FIRST_WAIT * 2 ** (one.deaths - 1), LONGEST_WAIT)
        self._told(f"{one.name} died; it is started again in {wait:g} s")
        await self._pause(wait)
        if self._stopping.is_set():
            return
        try:
            one.process = await one.start()
        except Exception as error:  # noqa: BLE001 -- whatever it was, it is tried again, and said
            self._told(f"{one.name} did not start: {error!r}")
        else:
            self._told(f"{one.name} runs again (pid {one.process.pid})")
            self._changed()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def stop(self) -> None:
        """Stop everything, the last started first; services together, for they drain side by side."""
        self._stopping.set()
        parts = list(self.kept.values())[::-1]
        foundations = [one for one in parts if one.name in ("postgres", "kafka")]
        others = [one for one in parts if one not in foundations]
        await asyncio.gather(*(one.process.stop() for one in others))
        await asyncio.gather(*(one.process.stop() for one in foundations))
