"""Bursts of requests by a generator in a process of its own, and what they cost the server."""

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from . import cpu
from .alone import DRIVER_CORE, Server
from .plan import Broken
from .stats import Pair

PROGRAM = Path(__file__).with_name("drive.py")
GRACE = 60.0  # seconds that a burst may take longer than asked for
MANY = 4096
OK = frozenset({"200"})


@dataclass(frozen=True)
class Burst:
    """What one burst found. CPU in seconds in all, by process."""

    answers: dict[str, list[float]]
    """Milliseconds of each, by what was answered: `200`, `400 slot_unavailable`."""
    seconds: float
    cpu_of: dict[str, float]
    driver_cpu: float

    @cached_property
    def ms(self) -> list[float]:
        """Of all of them."""
        return [ms for answered in self.answers.values() for ms in answered]

    def count(self, answered: str) -> int:
        return len(self.answers.get(answered, ()))

    @property
    def apart(self) -> float:
        """Seconds on the clock for each answer."""
        return self.seconds / len(self.ms)

    @property
    def cpu(self) -> float:
        """CPU seconds for each answer, of the server and of those who work for it."""
        return max(sum(self.cpu_of.values()) / len(self.ms), 1e-9)

    @property
    def driver_share(self) -> float:
        """How much of its core the generator was busy."""
        return self.driver_cpu / self.seconds


@dataclass
class Series:
    """Bursts of one kind, each beside its floor's."""

    name: str
    ours: list[Burst] = field(default_factory=list)
    floor: list[Burst] = field(default_factory=list)

    def add(self, ours: Burst, floor: Burst) -> None:
        self.ours.append(ours)
        self.floor.append(floor)

    @property
    def apart(self) -> list[Pair]:
        pairs = zip(self.ours, self.floor, strict=True)
        return [Pair(ours.apart, floor.apart) for ours, floor in pairs]

    @property
    def cpu(self) -> list[Pair]:
        pairs = zip(self.ours, self.floor, strict=True)
        return [Pair(ours.cpu, floor.cpu) for ours, floor in pairs]


def shuffled(requests: Sequence[str], seed: int) -> list[str]:
    """Many of them in random order; the same for the same seed."""
    return random.Random(seed).choices(requests, k=MANY)


async def burst(
    server: Server,
    requests: Sequence[str],
    *,
    connections: int,
    seconds: float,
    once: bool = False,
    expects: AbstractSet[str] = OK,
    settled: Callable[[], Awaitable[None]] | None = None,
) -> Burst:
    """Ask for so long, by so many at the same time; `once`: each request once and no more.

    Answers other than those expected are `Broken`. `settled` returns when the server has done what
    it still owes: its CPU time counts, its time on the clock does not.
    """
    order = {
        "port": server.port,
        "requests": list(requests),
        "connections": connections,
        "seconds": seconds,
        "once": once,
    }
    pids = {"server": server.pid, **server.beside}
    before = cpu.used(pids)
    told = json.loads(await _ordered(json.dumps(order).encode(), seconds))
    if settled is not None:
        await settled()
    after = cpu.used(pids)
    if not told["answers"] or not told["answers"].keys() <= expects:
        counts = {answered: len(ms) for answered, ms in told["answers"].items()}
        raise Broken(f"answered {counts} where only {sorted(expects)} is right")
    spent = {name: after[name] - before[name] for name in pids}
    return Burst(told["answers"], told["seconds"], spent, told["cpu"])


async def _ordered(order: bytes, seconds: float) -> bytes:
    program = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        os.sched_setaffinity(program.pid, {DRIVER_CORE})
        async with asyncio.timeout(seconds + GRACE):
            answer, _ = await program.communicate(order)
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    if program.returncode:
        raise Broken("the load generator failed; its reason stands above")
    return answer
