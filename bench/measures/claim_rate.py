"""Claims a second of the reconciler: with a backlog, with the oldest snapshot held, beside other queues."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median

from bench.baselines.pgqueuer_queue import pgqueuer_queue
from bench.baselines.procrastinate_queue import procrastinate_queue
from bench.measures.context import Context
from bench.measures.held_snapshot import held_snapshot
from bench.measures.queue_bursts import jobs_a_second, start_times
from bench.report.findings import Row
from bench.report.paired_ratios import Pair, percentile, score
from bench.systems.job_queue import JobQueue
from bench.systems.reconciler import Reconciler
from bench.systems.single_service import Servers, running_servers

JOBS = 2000
"""In each queue at the beginning of a burst, of which at most half are started."""
REFILLED = 50_000
"""Backlogs up to this are filled anew for each burst, which might else find the mountain of one user alone."""
TIMED = 50
"""Jobs whose start is timed, in a round."""


@dataclass
class _Bursts:
    """Jobs a second of each round, and milliseconds from a job's call to its start."""

    rates: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)


async def claims(context: Context) -> None:
    """Real PostgreSQL with durable commits; the work itself is nothing."""
    context.progress.line("starting PostgreSQL and Kafka …")
    async with running_servers() as servers:
        context.findings.rows += await _backlogs(context, servers)
        context.findings.rows += await _queues(context, servers)
        context.findings.rows += await held_snapshot(context, servers)


async def _backlogs(context: Context, servers: Servers) -> list[Row]:
    """Measure bursts over backlogs of each size in turns; half of a backlog belongs to one provider user."""
    plan, rates = context.plan, dict[int, list[float]]()
    async with AsyncExitStack() as opened:
        queues: dict[int, Reconciler] = {}
        for size in plan.backlogs:
            queues[size] = await Reconciler.open(servers, f"backlog_{size}")
            opened.push_async_callback(queues[size].close)
            context.progress.line(f"{size} desired states that are due …")
            await queues[size].fill_backlog(size)
        with context.progress.steps("claims", plan.rounds * len(queues)) as steps:
            for number in range(plan.rounds):
                for size, queue in queues.items():
                    steps.next(f"round {number + 1}, {size} due")
                    if number and size <= REFILLED:
                        await queue.fill_backlog(size)
                    rate = await jobs_a_second(queue, seconds=plan.seconds, most=size // 2)
                    rates.setdefault(size, []).append(rate)
    context.findings.bursts.append({"measure": "claims", "by_backlog": rates})
    return backlog_rows(rates)


def backlog_rows(rates: Mapping[int, list[float]]) -> list[Row]:
    """Return the median of each backlog, beside that of the smallest one."""
    sizes = sorted(rates)
    smallest = median(rates[sizes[0]])
    rows = [Row("claims", f"claims, {sizes[0]:,} due", "/s", smallest)]
    for size in sizes[1:]:
        found = median(rates[size])
        name = f"claims, {size:,} due, to {sizes[0]:,} (aim 0.9x)"
        rows.append(Row("claims", name, "/s", found, floor=smallest, ratio=found / smallest))
    return rows


async def _queues(context: Context, servers: Servers) -> list[Row]:
    """Measure ours and the libraries in turns, each in a database of its own."""
    async with AsyncExitStack() as opened:
        ours = await Reconciler.open(servers, "reconciler")
        opened.push_async_callback(ours.close)
        queues: dict[str, JobQueue] = {
            "ours": ours,
            "procrastinate": await opened.enter_async_context(procrastinate_queue(servers)),
            "PgQueuer": await opened.enter_async_context(pgqueuer_queue(servers)),
        }
        found = {name: _Bursts() for name in queues}
        for queue in queues.values():  # connections, prepared statements
            await _burst(queue, _Bursts(), 1.0)
        with context.progress.steps("queues", context.plan.rounds * len(queues)) as steps:
            for number in range(context.plan.rounds):
                for name in _turns([*queues], number):
                    steps.next(f"round {number + 1}, {name}")
                    await _burst(queues[name], found[name], context.plan.seconds)
    context.findings.bursts += [
        {"measure": "claims", "queue": name, "rates": one.rates} for name, one in found.items()
    ]
    return [
        row
        for name in ("procrastinate", "PgQueuer")
        for row in queue_rows(name, found["ours"], found[name])
    ]


def _turns(names: list[str], number: int) -> list[str]:
    """Return the names, beginning with another one in each round."""
    first = number % len(names)
    return names[first:] + names[:first]


async def _burst(queue: JobQueue, found: _Bursts, seconds: float) -> None:
    await queue.fill(JOBS)
    found.rates.append(await jobs_a_second(queue, seconds=seconds, most=JOBS // 2))
    found.ms += await start_times(queue, count=TIMED)


def queue_rows(name: str, ours: _Bursts, theirs: _Bursts) -> list[Row]:
    """Return jobs a second and the time to the start, ours beside theirs."""
    costs = [
        Pair(1 / max(o, 1e-9), 1 / max(t, 1e-9))
        for o, t in zip(ours.rates, theirs.rates, strict=True)
    ]
    speed = score(costs)
    half, most = ([percentile(one.ms, at) for one in (ours, theirs)] for at in (0.5, 0.99))
    return [
        Row(
            "claims",
            f"jobs, beside {name}",
            "/s",
            1 / speed.ours,
            floor=1 / speed.floor,
            ratio=1 / speed.ratio,
            kept=speed.kept,
        ),
        Row(
            "claims",
            f"from enqueue to start, beside {name}",
            "ms",
            half[0],
            floor=half[1],
            ratio=half[0] / half[1],
            p50=half[0],
            p99=most[0],
            floor_p50=half[1],
            floor_p99=most[1],
            ratio_p99=most[0] / most[1],
        ),
    ]
