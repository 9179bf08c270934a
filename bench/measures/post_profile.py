"""Where booking spends its CPU time in a POST: samples of this process, which runs booking beside a system."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType

from bench.load.booking_client import BookingClient
from bench.load.task_loops import closed_loop
from bench.report.progress import ProgressReporter
from bench.run_plan import Plan
from bench.systems.full_system import running_system
from booking.__main__ import service as booking
from local.testing.service import running

EVERY = 0.001  # CPU seconds; the kernel makes its own tick of it when that is longer
ROOT = "serve"  # hoop_platform.http.app: everything below it is one request
LINES = 25


@dataclass
class Samples:
    """Samples of the stack at equal steps of CPU time: a function's share is its share of CPU time."""

    all: int = 0
    requests: int = 0
    below: Counter[CodeType] = field(default_factory=Counter)
    at: Counter[CodeType] = field(default_factory=Counter)
    seconds: float = 0.0

    def take(self, _: int, frame: FrameType | None) -> None:
        self.all += 1
        codes = [at.f_code for at in _outwards(frame)]
        root = next((position for position, code in enumerate(codes) if _is_root(code)), None)
        if root is not None:
            self.requests += 1
            self.at[codes[0]] += 1
            self.below.update(set(codes[:root]))


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_root(code: CodeType) -> bool:
    return code.co_name == ROOT and code.co_filename.endswith("hoop_platform/http/app.py")


@contextmanager
def sampled() -> Iterator[Samples]:
    """Sample this process until the end of the block."""
    samples = Samples()
    former = signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
    samples.seconds = -time.process_time()
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        samples.seconds += time.process_time()
        signal.signal(signal.SIGPROF, former)


async def profile(plan: Plan, progress: ProgressReporter) -> list[str]:
    """Book one slot after the other for a while; return lines of text, the largest share first."""
    progress.line("starting a system of its own, and booking once more in this process …")
    async with running_system() as facts:
        own = running(
            booking,
            database=facts["postgres"]["booking"],
            kafka_bootstrap=facts["kafka_bootstrap"],
        )
        async with BookingClient(facts) as client, own as (address, _):
            calendars = await client.create_calendars(plan.hosts, connected=False)
            client.facts = {**facts, "base_url": address}
            await closed_loop(lambda: client.book(calendars), clients=1, seconds=2)
            with sampled() as samples:
                done, _ = await closed_loop(
                    lambda: client.book(calendars), clients=1, seconds=plan.seconds
                )
    return _lines_of(samples, bookings=len(done))


def _lines_of(samples: Samples, *, bookings: int) -> list[str]:
    each = samples.seconds * 1000 * samples.requests / samples.all / bookings
    head = f"{bookings} bookings, {each:.2f} ms CPU each below the route's handler ({samples.all} samples)"
    return [
        head,
        "share of these, with all that it calls:",
        *_lines(samples.below, samples.requests),
        "share of these, by itself:",
        *_lines(samples.at, samples.requests),
    ]


def _lines(counts: Counter[CodeType], of: int) -> list[str]:
    return [
        f"  {count / of:6.1%}  {_short(code.co_filename)}:{code.co_firstlineno} {code.co_qualname}"
        for code, count in counts.most_common(LINES)
    ]


def _short(path: str) -> str:
    return "/".join(path.split("/")[-3:])
