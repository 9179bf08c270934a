"""The rounds of a measure of two systems, and the figures that several measures have."""

from collections.abc import Awaitable, Callable, Sequence

from bench.against.pairing import Figures, Key
from bench.against.sides import PairContext, RunningSide
from bench.load.socket_burst import Burst
from bench.report.findings import Broken
from bench.report.paired_ratios import percentile


async def run_rounds(
    context: PairContext,
    measure: str,
    cases: Sequence[int],
    burst_of: Callable[[RunningSide, int], Awaitable[Figures]],
    unit: str,
) -> None:
    """Run all rounds of all cases: a pair of bursts for each."""
    with context.progress.steps(measure, context.plan.rounds * len(cases)) as steps:
        for number in range(context.plan.rounds):
            for case in cases:
                steps.next(f"round {number + 1}, {case} {unit}")

                async def one(side: RunningSide, case: int = case) -> Figures:
                    return await burst_of(side, case)

                await context.pair(number, one)


def speed_figures(measure: str, name: str, seconds_each: float, ms: Sequence[float]) -> Figures:
    return {
        Key(measure, name, "/s"): 1 / seconds_each,
        Key(measure, f"{name}, p50", "ms"): percentile(ms, 0.5),
        Key(measure, f"{name}, p99", "ms", tail=True): percentile(ms, 0.99),
    }


def cpu_us(found: Burst, process: str) -> float:
    """Return CPU microseconds of this process for each response."""
    return found.cpu_of[process] * 1e6 / len(found.ms)


async def check_stored(side: RunningSide, before: int, booked: int) -> None:
    stored = await side.watch.appointments() - before
    if stored != booked:
        raise Broken(f"{side.name}: {booked} bookings were answered 200, {stored} are stored")
