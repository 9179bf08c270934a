"""What an answer costs as history, range and team grow, next to the smallest case of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from hoop_platform.clock import Clock
from hoop_scheduling.zones import epoch_ms

from .alone import Server
from .asking import Burst, Series, burst
from .free_slots import filled, verify
from .measures import Task
from .plan import Broken, Row
from .stats import Pair, percentile, score
from .world import BUSY, DAY, FIRST, Kept, World, busy, past

RANGES = (1, 7, 31)
TEAMS = (1, 10, 50)
NEW_WINDOWS = 30
"""Ranges of 31 days that nobody has asked for yet, in each burst of first answers."""
APART = 64 * DAY
FAR = epoch_ms(FIRST) + 800 * DAY
FARTHEST = 7_258_118_400_000  # the year 2200, where the API ends


@dataclass
class _Case:
    """Something that grows; its first case is what the others are compared with."""

    name: str
    requests: list[str]
    series: Series
    base: "_Case | None"


async def growth(task: Task) -> None:
    """Alone as in free-slots, one connection, one calendar for each case; CPU of the server."""
    now = Clock().now()
    long = [Kept([[*past(count, now), *busy(BUSY, 1)]]) for count in task.plan.history]
    teams = [Kept([busy(BUSY, seed) for seed in range(size)]) for size in TEAMS]
    world = World([*long, *teams])
    cases = _cases(task, world, long, teams)
    async with filled(task, world) as (server, _):
        await verify(server, world)
        fresh: dict[int, list[Burst]] = {count: [] for count in task.plan.history}
        with task.talk.steps("growth", task.plan.rounds) as steps:
            for number in range(task.plan.rounds):
                steps.next(f"round {number + 1}")
                await _round(task, server, cases)
                await _first_answers(server, world, teams[0], number)
                for count, one in zip(task.plan.history, long, strict=True):
                    fresh[count].append(await _first_answers(server, world, one, number))
    task.found.rows += [row for case in cases if case.base for row in _row(case)]
    task.found.rows += _first_rows(fresh)


def _cases(task: Task, world: World, long: Sequence[Kept], teams: Sequence[Kept]) -> list[_Case]:
    groups = [
        [(f"history {n}", world.request(k)) for n, k in zip(task.plan.history, long, strict=True)],
        [(f"{days} days", world.request(teams[0], days=days)) for days in RANGES],
        [(f"team of {n}", world.request(k)) for n, k in zip(TEAMS, teams, strict=True)],
    ]
    found = []
    for group in groups:
        base = None
        for name, request in group:
            case = _Case(name, [request], Series(name), base)
            base = base or case
            found.append(case)
    return found


async def _round(task: Task, server: Server, cases: Sequence[_Case]) -> None:
    """Every case once; a burst of the smallest of its kind stands beside each."""
    least: dict[str, Burst] = {}
    for case in cases:
        await burst(server, case.requests, connections=1, seconds=0.1)
        found = await burst(server, case.requests, connections=1, seconds=task.plan.seconds / 2)
        if case.base is None:
            least[case.name] = found
        case.series.add(found, least[case.base.name] if case.base else found)
        task.found.bursts.append(
            {
                "measure": "growth",
                "case": case.name,
                "cpu_us": found.cpu * 1e6,
                "ms": median(found.ms),
            }
        )


async def _first_answers(server: Server, world: World, one: Kept, number: int) -> Burst:
    """Ranges that nobody has asked this calendar for.

    Ask another one first: what the engine keeps of a month whoever asks is then there for all.
    """
    first = FAR + number * NEW_WINDOWS * APART
    starts = [first + n * APART for n in range(NEW_WINDOWS)]
    if starts[-1] + 31 * DAY > FARTHEST:
        raise Broken("so many rounds need more years than there are")
    requests = [world.request(one, days=31, first=start) for start in starts]
    return await burst(server, requests, connections=1, seconds=60, once=True)


def _row(case: _Case) -> list[Row]:
    spent = score(case.series.cpu)
    mine = [ms for one in case.series.ours for ms in one.ms]
    least = [ms for one in case.series.floor for ms in one.ms]
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
            p50=percentile(mine, 0.5),
            p99=percentile(mine, 0.99),
            floor_p50=percentile(least, 0.5),
            floor_p99=percentile(least, 0.99),
        )
    ]


def _first_rows(fresh: dict[int, list[Burst]]) -> list[Row]:
    """The first answer about a month: nothing of it is in memory yet."""
    counts = list(fresh)
    least = [median(one.ms) for one in fresh[counts[0]]]
    found = []
    for count in counts[1:]:
        mine = [median(one.ms) for one in fresh[count]]
        told = score([Pair(a, b) for a, b in zip(mine, least, strict=True)])
        found.append(
            Row(
                "growth",
                f"first answer about a month, history {count} (to {counts[0]})",
                "ms",
                ours=told.ours,
                floor=told.floor,
                ratio=told.ratio,
                kept=told.kept,
            )
        )
    return found
