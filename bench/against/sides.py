"""The two sides of a comparison: this tree and the older commit, each with a running system of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bench.against.pairing import Comparison, Figures
from bench.load.booking_client import BookingClient
from bench.report.progress import ProgressReporter
from bench.run_plan import Plan
from bench.systems import cpu_time
from bench.systems.full_system import running_system
from bench.systems.idle_watch import IdleWatch
from bench.systems.single_service import MeasuredServer

T = TypeVar("T")


@dataclass(frozen=True)
class Side:
    """One of the two trees; `name` is `ours` or the beginning of the commit's id."""

    name: str
    root: Path


@dataclass(frozen=True)
class RunningSide:
    """The running system of one tree, its client, and the watch of its databases."""

    side: Side
    facts: Mapping[str, Any]
    client: BookingClient
    watch: IdleWatch
    at_rest: Mapping[str, float] = field(default_factory=dict)
    """CPU seconds of each process in a second without requests."""

    @property
    def name(self) -> str:
        return self.side.name

    def server(self, service: str) -> MeasuredServer:
        """Return this service's own HTTP server, with all other processes of the system beside it."""
        pids = cpu_time.processes(self.facts)
        port = urlsplit(self.facts["services"][service]["url"]).port
        assert port is not None
        return MeasuredServer(port, pids.pop(service), pids)


@dataclass(frozen=True)
class PairContext:
    """What a measure of two systems gets: the plan, the progress reporter, and where its pairs go."""

    plan: Plan
    progress: ProgressReporter
    comparison: Comparison
    ours: RunningSide
    theirs: RunningSide

    async def both(self, prepare: Callable[[RunningSide], Awaitable[T]]) -> dict[str, T]:
        """Prepare one side after the other; return the results by name of the side."""
        return {one.name: await prepare(one) for one in (self.ours, self.theirs)}

    async def pair(self, number: int, burst: Callable[[RunningSide], Awaitable[Figures]]) -> None:
        """Run a burst of each side, and keep their figures as a pair; odd rounds begin with theirs."""
        turns = [self.ours, self.theirs]
        found = {one.name: await burst(one) for one in (turns[::-1] if number % 2 else turns)}
        self.comparison.add(found[self.ours.name], found[self.theirs.name])


@asynccontextmanager
async def running_side(side: Side) -> AsyncIterator[RunningSide]:
    """Start the system of this tree, and stop it in any case."""
    async with AsyncExitStack() as opened:
        facts = await opened.enter_async_context(running_system(side.root))
        client = await opened.enter_async_context(BookingClient(facts))
        watch = await IdleWatch.open(facts)
        opened.push_async_callback(watch.close)
        await watch.wait_until_idle()
        yield RunningSide(side, facts, client, watch)
