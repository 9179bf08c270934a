"""Bursts of requests by a generator in a process of its own, and what they cost the server."""

import asyncio
import json
import os
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import cpu
from .alone import DRIVER_CORE, Server
from .plan import Broken
from .stats import Pair

PROGRAM = Path(__file__).with_name("drive.py")
GRACE = 60.0  # seconds that a burst may take longer than asked for
MANY = 4096


@dataclass(frozen=True)
class Burst:
    """What one burst found. Times of single answers in milliseconds, CPU in seconds in all."""

    ms: list[float]
    seconds: float
    server_cpu: float
    driver_cpu: float

    @property
    def apart(self) -> float:
        """Seconds on the clock for each answer."""
        return self.seconds / len(self.ms)

    @property
    def cpu(self) -> float:
        """CPU seconds of the server for each answer."""
        return max(self.server_cpu / len(self.ms), 1e-9)

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
) -> Burst:
    """Ask for so long, by so many at the same time; `once`: each request once and no more."""
    order = {
        "port": server.port,
        "requests": list(requests),
        "connections": connections,
        "seconds": seconds,
        "once": once,
    }
    before = cpu.used({"server": server.pid})["server"]
    told = json.loads(await _ordered(json.dumps(order).encode(), seconds))
    after = cpu.used({"server": server.pid})["server"]
    if told["statuses"].keys() != {"200"}:
        raise Broken(f"free slots were answered {told['statuses']}")
    return Burst(told["ms"], told["seconds"], after - before, told["cpu"])


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
