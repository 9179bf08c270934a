"""CPU time of a free-slots response as history, range and team grow, beside the smallest case of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.load.socket_burst import Burst, Series, burst
from bench.load.workload import BUSY, DAY, FIRST, Workload, WorkloadCalendar, busy, past
from bench.measures.context import Context
from bench.measures.free_slots import filled, verify
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, percentile, score
from bench.systems.single_service import MeasuredServer
from hoop_platform.clock import Clock
from hoop_scheduling.zones import epoch_ms

RANGES = (1, 7, 31)
TEAMS = (1, 10, 50)
NEW_WINDOWS = 30
"""Ranges of 31 days, each requested for the first time, in one burst of first responses."""
SPACING = 64 * DAY
FAR = epoch_ms(FIRST) + 800 * DAY
FARTHEST = 7_258_118_400_000  # the year 2200, where the API ends


@dataclass
class _Case:
    """One size of something that grows; `base` is the smallest, which the others are compared with."""

    name: str
    requests: list[str]
    series: Series
    base: "_Case | None"


async def growth(context: Context) -> None:
    """Run as free-slots does, with one connection and one calendar for each case."""
    now = Clock().now()
    long = [
        WorkloadCalendar([[*past(count, now), *busy(BUSY, 1)]]) for count in context.plan.history
    ]
    teams = [WorkloadCalendar([busy(BUSY, seed) for seed in range(size)]) for size in TEAMS]
    workload = Workload([*long, *teams])
    cases = _cases(context, workload, long, teams)
    async with filled(context, workload) as (server, _):
        await verify(server, workload)
        fresh: dict[int, list[Burst]] = {count: [] for count in context.plan.history}
        with context.progress.steps("growth", context.plan.rounds) as steps:
            for number in range(context.plan.rounds):
                steps.next(f"round {number + 1}")
                await _round(context, server, cases)
                await _first_responses(server, workload, teams[0], number)
                for count, one in zip(context.plan.history, long, strict=True):
                    fresh[count].append(await _first_responses(server, workload, one, number))
    context.findings.rows += [row for case in cases if case.base for row in _row(case)]
    context.findings.rows += _first_rows(fresh)


def _cases(
    context: Context,
    workload: Workload,
    long: Sequence[WorkloadCalendar],
    teams: Sequence[WorkloadCalendar],
) -> list[_Case]:
    groups = [
        [
            (f"history {n}", workload.free_slots_request(k))
            for n, k in zip(context.plan.history, long, strict=True)
        ],
        [(f"{days} days", workload.free_slots_request(teams[0], days=days)) for days in RANGES],
        [
            (f"team of {n}", workload.free_slots_request(k))
            for n, k in zip(TEAMS, teams, strict=True)
        ],
    ]
    found = []
    for group in groups:
        base = None
        for name, request in group:
            case = _Case(name, [request], Series(name), base)
            base = base or case
            found.append(case)
    return found


async def _round(context: Context, server: MeasuredServer, cases: Sequence[_Case]) -> None:
    """Run one burst of every case, paired with the burst of the smallest case of its kind."""
    least: dict[str, Burst] = {}
    for case in cases:
        await burst(server, case.requests, connections=1, seconds=0.1)
        found = await burst(server, case.requests, connections=1, seconds=context.plan.seconds / 2)
        if case.base is None:
            least[case.name] = found
        case.series.add(found, least[case.base.name] if case.base else found)
        context.findings.bursts.append(
            {
                "measure": "growth",
                "case": case.name,
                "cpu_us": found.cpu * 1e6,
                "ms": median(found.ms),
            }
        )


async def _first_responses(
    server: MeasuredServer, workload: Workload, one: WorkloadCalendar, number: int
) -> Burst:
    """Request ranges that were never requested of this calendar.

    Request them of another calendar first: then the parts that the engine caches for all calendars
    of the same opening hours are in its cache for every case.
    """
    first = FAR + number * NEW_WINDOWS * SPACING
    starts = [first + n * SPACING for n in range(NEW_WINDOWS)]
    if starts[-1] + 31 * DAY > FARTHEST:
        raise Broken("so many rounds need more years than there are")
    requests = [workload.free_slots_request(one, days=31, first=start) for start in starts]
    return await burst(server, requests, connections=1, seconds=60, once=True)


def _row(case: _Case) -> list[Row]:
    spent = score(case.series.cpu)
    ours_ms = [ms for one in case.series.ours for ms in one.ms]
    floor_ms = [ms for one in case.series.floor for ms in one.ms]
    assert case.base is not None
    return [
        Row(
            "growth",
            f"CPU of an answer, {case.name} (to {case.base.name})",
            "CPU µs",
            ours=spent.ours * 1e6,
            floor=spent.floor * 1e6,
            ratio=spent.ratio,
            kept=spent.kept,
            p50=percentile(ours_ms, 0.5),
            p99=percentile(ours_ms, 0.99),
            floor_p50=percentile(floor_ms, 0.5),
            floor_p99=percentile(floor_ms, 0.99),
        )
    ]


def _first_rows(fresh: dict[int, list[Burst]]) -> list[Row]:
    """Return rows of the first response about a month, of which nothing is cached yet."""
    counts = list(fresh)
    least = [median(one.ms) for one in fresh[counts[0]]]
    found = []
    for count in counts[1:]:
        ours = [median(one.ms) for one in fresh[count]]
        compared = score([Pair(a, b) for a, b in zip(ours, least, strict=True)])
        found.append(
            Row(
                "growth",
                f"first answer about a month, history {count} (to {counts[0]})",
                "ms",
                ours=compared.ours,
                floor=compared.floor,
                ratio=compared.ratio,
                kept=compared.kept,
            )
        )
    return found
