"""Rebuilding the read model from the topics, beside a plain fold and COPY; equal to the live model."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import event_records
from bench.load.event_records import Record
from bench.load.workload import BUSY, Workload, WorkloadCalendar, busy
from bench.measures.context import Context
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, score
from bench.systems.single_service import Servers, running_servers, running_service

CANCELLED = 0.25
"""Share of the appointments; a fifth of the events are then cancellations."""
LATER = 200
"""Appointments between an appointment and its cancellation, about."""
FOLD = Path(__file__).resolve().parents[1] / "baselines" / "log_fold.py"


@dataclass
class _Costs:
    """Seconds for each event: wall-clock, and CPU of the program alone."""

    wall: list[Pair] = field(default_factory=list)
    cpu: list[Pair] = field(default_factory=list)


async def rebuild(context: Context) -> None:
    """Run `availability rebuild` on an empty read model; the start of the process is included."""
    calendars = min(10_000, context.plan.events // 20)
    workload = Workload([WorkloadCalendar([busy(BUSY, seed)]) for seed in range(1, calendars + 1)])
    costs = _Costs()
    context.progress.line("starting PostgreSQL and Kafka …")
    async with running_servers() as servers:
        counts = await event_records.publish(
            servers.bootstrap, history(workload, context.plan.events)
        )
        events = counts["appointments"] + counts["calendars"]
        context.progress.line(f"{events} events are in the topics; the live model handles them …")
        live = await _live(servers, counts)
        with context.progress.steps("rebuild", context.plan.rounds) as steps:
            for number in range(context.plan.rounds):
                steps.next(f"round {number + 1}")
                found = await _pair(context, servers, costs, events)
                if found != live:
                    raise Broken(
                        "the rebuilt read model is not the live one: "
                        + _first_difference(found, live)
                    )
    context.findings.rows += _rows(costs)


def history(workload: Workload, events: int) -> Iterator[Record]:
    """Yield calendars, then appointments of all of them in turn; some are cancelled somewhat later."""
    rng, alive = random.Random(1), list[Record]()
    yield from workload.calendar_records()
    count = len(workload.calendars)
    for created in workload.appointment_records():
        if count >= events:
            return
        count += 1
        yield created
        if rng.random() < CANCELLED:
            alive.append(created)
        if len(alive) > LATER * CANCELLED and count < events:
            count += 1
            yield workload.cancellation_record(alive.pop(rng.randrange(len(alive))))


async def _live(servers: Servers, counts: Mapping[str, int]) -> bytes:
    """Return the dump of the model that the service makes of the same events while it consumes."""
    dsn = await servers.database("live", "availability")
    async with running_service(servers, dsn):
        await event_records.wait_until_consumed(
            dsn, {name: counts[name] for name in ("calendars", "appointments")}
        )
    dump = await _dump(servers, dsn)
    if dump.count(b"\n") < counts["calendars"]:
        raise Broken(f"the live model's dump has only {len(dump)} bytes")
    return dump


async def _pair(context: Context, servers: Servers, costs: _Costs, events: int) -> bytes:
    """Run one rebuild and one baseline, each into an empty database; return the rebuilt model's dump."""
    dsn = await servers.database("rebuilt", "availability")
    ours = await servers.run_timed(dsn, "-m", "availability", "rebuild")
    bare = await servers.database("bare", "availability")
    floor = await servers.run_timed(bare, str(FOLD), servers.bootstrap, bare)
    if int(floor.stdout) != events:
        raise Broken(f"the floor read {floor.stdout!r} events instead of {events}")
    costs.wall.append(Pair(ours.seconds / events, floor.seconds / events))
    costs.cpu.append(Pair(ours.cpu / events, floor.cpu / events))
    context.findings.bursts.append(
        {
            "measure": "rebuild",
            "events": events,
            "ours_seconds": ours.seconds,
            "floor_seconds": floor.seconds,
            "ours_cpu_seconds": ours.cpu,
            "floor_cpu_seconds": floor.cpu,
        }
    )
    return await _dump(servers, dsn)


async def _dump(servers: Servers, dsn: str) -> bytes:
    return await servers.run(dsn, "availability", "dump", "--canonical")


def _first_difference(one: bytes, other: bytes) -> str:
    """Describe the first difference of two dumps."""
    for line, expected in zip(one.splitlines(), other.splitlines(), strict=False):
        if line != expected:
            return f"{line[:300]!r} instead of {expected[:300]!r}"
    return f"{len(one.splitlines())} lines instead of {len(other.splitlines())}"


def _rows(costs: _Costs) -> list[Row]:
    wall, spent = score(costs.wall), score(costs.cpu)
    return [
        Row(
            "rebuild",
            "rebuilt from the topics, start included",
            "/s",
            ours=1 / wall.ours,
            floor=1 / wall.floor,
            ratio=1 / wall.ratio,
            kept=wall.kept,
        ),
        Row(
            "rebuild",
            "CPU of an event, the program alone",
            "CPU µs",
            ours=spent.ours * 1e6,
            floor=spent.floor * 1e6,
            ratio=spent.ratio,
            kept=spent.kept,
        ),
    ]
