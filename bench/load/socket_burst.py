"""Bursts of requests by the load generator, a process of its own, and the CPU time of the server."""

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

from bench.report.findings import Broken
from bench.report.paired_ratios import Pair
from bench.systems import cpu_time
from bench.systems.single_service import DRIVER_CORE, MeasuredServer

PROGRAM = Path(__file__).with_name("socket_connections.py")
GRACE = 60.0  # seconds that a burst may take longer than requested
MANY = 4096
OK = frozenset({"200"})


@dataclass(frozen=True)
class Burst:
    """The result of one burst. CPU time is in seconds, the sum of all responses."""

    latencies: dict[str, list[float]]
    """Milliseconds of each response, by outcome: `200`, `400 slot_unavailable`."""
    seconds: float
    cpu_of: dict[str, float]
    driver_cpu: float

    @cached_property
    def ms(self) -> list[float]:
        """Milliseconds of all responses."""
        return [ms for one in self.latencies.values() for ms in one]

    def count(self, outcome: str) -> int:
        return len(self.latencies.get(outcome, ()))

    @property
    def seconds_each(self) -> float:
        """Wall-clock seconds for each response."""
        return self.seconds / len(self.ms)

    @property
    def cpu(self) -> float:
        """CPU seconds for each response, of the server and of its helper processes."""
        return max(sum(self.cpu_of.values()) / len(self.ms), 1e-9)

    @property
    def driver_share(self) -> float:
        """Return the share of time that the load generator was busy."""
        return self.driver_cpu / self.seconds


@dataclass
class Series:
    """Bursts of one kind, each paired with its baseline's."""

    name: str
    ours: list[Burst] = field(default_factory=list)
    floor: list[Burst] = field(default_factory=list)

    def add(self, ours: Burst, floor: Burst) -> None:
        self.ours.append(ours)
        self.floor.append(floor)

    @property
    def seconds_each(self) -> list[Pair]:
        pairs = zip(self.ours, self.floor, strict=True)
        return [Pair(ours.seconds_each, floor.seconds_each) for ours, floor in pairs]

    @property
    def cpu(self) -> list[Pair]:
        pairs = zip(self.ours, self.floor, strict=True)
        return [Pair(ours.cpu, floor.cpu) for ours, floor in pairs]


def shuffled(requests: Sequence[str], seed: int) -> list[str]:
    """Return `MANY` requests in random order, the same ones for the same seed."""
    return random.Random(seed).choices(requests, k=MANY)


async def burst(
    server: MeasuredServer,
    requests: Sequence[str],
    *,
    connections: int,
    seconds: float,
    once: bool = False,
    expects: AbstractSet[str] = OK,
    settle: Callable[[], Awaitable[None]] | None = None,
) -> Burst:
    """Send requests for `seconds` over `connections`; with `once`, each request once and no more.

    Outcomes that are not in `expects` are `Broken`. `settle` returns when the server has finished what
    it does after its responses: its CPU time counts, its wall-clock time does not.
    """
    order = {
        "port": server.port,
        "requests": list(requests),
        "connections": connections,
        "seconds": seconds,
        "once": once,
    }
    pids = {"server": server.pid, **server.helper_pids}
    before = cpu_time.used(pids)
    result = json.loads(await _generate(json.dumps(order).encode(), seconds))
    if settle is not None:
        await settle()
    after = cpu_time.used(pids)
    if not result["latencies"] or not result["latencies"].keys() <= expects:
        counts = {outcome: len(ms) for outcome, ms in result["latencies"].items()}
        raise Broken(f"answered {counts} where only {sorted(expects)} is right")
    spent = {name: after[name] - before[name] for name in pids}
    return Burst(result["latencies"], result["seconds"], spent, result["cpu"])


async def _generate(order: bytes, seconds: float) -> bytes:
    program = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        os.sched_setaffinity(program.pid, {DRIVER_CORE})
        async with asyncio.timeout(seconds + GRACE):
            output, _ = await program.communicate(order)
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    if program.returncode:
        raise Broken("the load generator failed; its error is above")
    return output
