"""Many tasks book one host: booking's own handler, beside one call of an SQL function, and over HTTP."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

from bench.baselines import host_lock
from bench.load.booking_requests import booking_request
from bench.load.socket_burst import Burst, burst
from bench.load.workload import FIRST
from bench.measures.context import Context
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, percentile, score
from bench.systems.booking_service import BookingService, running_booking
from bench.systems.single_service import running_servers
from hoop_scheduling.zones import epoch_ms

TASKS = 32
CROWD = 200
"""Tasks that book the same start at once."""
INTERVAL = timedelta(minutes=15)
STARTS = 700
"""Starts of a host, `INTERVAL` apart; appointments last half an hour."""
BOOKED, TAKEN = "booked", "slot_unavailable"
BUSY = "unavailable"
"""The outcome when other tasks were faster each time: neither booked nor refused, so not a try."""
HTTP_BOOKED, HTTP_TAKEN, HTTP_BUSY = "200", f"400 {TAKEN}", f"503 {BUSY}"
PROGRAM = Path(__file__).resolve().parents[1] / "load" / "host_contention.py"


@dataclass(frozen=True)
class ContentionRun:
    """The result of one burst. `ms`: milliseconds of each call that booked or was refused."""

    ms: list[float]
    seconds: float
    booked: int
    busy: int
    longest: float
    """Milliseconds of the longest call, whatever its outcome."""
    crowd: float
    """Seconds until all tasks that booked one start at once had their results."""

    @property
    def seconds_each(self) -> float:
        return self.seconds / len(self.ms)


@dataclass
class _Runs:
    ours: list[ContentionRun] = field(default_factory=list)
    floor: list[ContentionRun] = field(default_factory=list)
    http: list[ContentionRun] = field(default_factory=list)


async def hot(context: Context) -> None:
    """32 tasks book 700 starts, a new host for each burst; then 200 tasks book the same start at once."""
    rounds, all_runs = context.plan.rounds, _Runs()
    context.progress.line("starting PostgreSQL, Kafka and booking …")
    async with (
        running_servers() as servers,
        running_booking(
            context.progress, servers, calendars=2 * rounds, slotInterval=15
        ) as service,
    ):
        bare = await host_lock.prepare(servers)
        booked = 0
        with context.progress.steps("hot", rounds) as steps:
            for number in range(rounds):
                steps.next(f"round {number + 1}")
                one, other = service.calendars[2 * number : 2 * number + 2]
                booked += await _round(
                    context, service, all_runs, bare=bare, calendars=(one, other)
                )
        await _verify(service, booked, bare)
    context.findings.rows += _rows(all_runs)


async def _round(
    context: Context,
    service: BookingService,
    all_runs: _Runs,
    *,
    bare: str,
    calendars: tuple[str, str],
) -> int:
    """Run ours, the baseline, and ours over HTTP; return how many appointments booking has stored."""
    for_program, for_http = calendars
    ours, warm = await _run_program(context, service, "booking", service.dsn, for_program)
    floor, _ = await _run_program(context, service, "bare", bare, for_program)
    http = await _over_http(context, service, for_http)
    await service.wait_until_relayed()
    for runs, one in ((all_runs.ours, ours), (all_runs.floor, floor), (all_runs.http, http)):
        runs.append(one)
    context.findings.bursts.append(
        {
            "measure": "hot",
            **{
                name: {n: v for n, v in asdict(one).items() if n != "ms"} | {"tries": len(one.ms)}
                for name, one in (("ours", ours), ("floor", floor), ("http", http))
            },
        }
    )
    return ours.booked + warm + http.booked


async def _run_program(
    context: Context, service: BookingService, how: str, dsn: str, calendar: str
) -> tuple[ContentionRun, int]:
    """Run the program; return its result, and how many it booked to warm up and at once."""
    order = {
        "how": how,
        "dsn": dsn,
        "account": service.tenant.account_id,
        "location": service.tenant.location_id,
        "contact": service.tenant.contact_ids[0],
        "calendar": calendar,
        "tasks": TASKS,
        "connections": TASKS,
        "starts": STARTS,
        "apart": INTERVAL.total_seconds(),
        "crowd": CROWD,
        "first": epoch_ms(FIRST) // 1000,
        "seconds": context.plan.seconds,
        "seed": 1,
    }
    ran = await service.servers.run_timed(dsn, "-P", str(PROGRAM), json.dumps(order))
    result = json.loads(ran.stdout)
    check_one_winner(result["crowd"]["latencies"], BOOKED, {BOOKED, TAKEN, BUSY}, how)
    fight = _contention_run(
        result["fight"]["latencies"],
        result["fight"]["seconds"],
        crowd=result["crowd"]["seconds"],
        named=(BOOKED, TAKEN, BUSY),
    )
    return fight, result["warm"] + 1


def _contention_run(
    latencies: dict[str, list[float]], seconds: float, *, crowd: float, named: Sequence[str]
) -> ContentionRun:
    booked, taken, busy = (latencies.get(name, []) for name in named)
    if strange := latencies.keys() - {*named}:
        raise Broken(f"tries of one host ended with {sorted(strange)}")
    return ContentionRun(
        ms=booked + taken,
        seconds=seconds,
        booked=len(booked),
        busy=len(busy),
        longest=max(booked + taken + busy),
        crowd=crowd,
    )


def check_one_winner(
    latencies: dict[str, list[float]], booked: str, known: set[str], how: str
) -> None:
    counts = {name: len(ms) for name, ms in latencies.items()}
    if counts.get(booked) != 1 or sum(counts.values()) != CROWD or not counts.keys() <= known:
        raise Broken(
            f"{CROWD} booked the same start at once ({how}), with these outcomes: {counts}"
        )


async def _over_http(context: Context, service: BookingService, calendar: str) -> ContentionRun:
    """Run the same over 32 connections to the service, which has fewer connections to PostgreSQL."""
    rng, named = random.Random(1), (HTTP_BOOKED, HTTP_TAKEN, HTTP_BUSY)
    requests = [
        booking_request(service.account, calendar, FIRST + rng.randrange(STARTS) * INTERVAL)
        for _ in range(10 * STARTS)
    ]
    found = await burst(
        service.server,
        requests,
        connections=TASKS,
        seconds=context.plan.seconds,
        expects={*named},
    )
    same = booking_request(service.account, calendar, FIRST + (STARTS + 100) * INTERVAL)
    crowd: Burst = await burst(
        service.server, [same] * CROWD, connections=CROWD, seconds=60, once=True, expects={*named}
    )
    check_one_winner(crowd.latencies, HTTP_BOOKED, {*named}, "HTTP")
    one = _contention_run(found.latencies, found.seconds, crowd=crowd.seconds, named=named)
    return ContentionRun(**{**asdict(one), "booked": one.booked + 1})


async def _verify(service: BookingService, booked: int, bare: str) -> None:
    """Check that nothing overlaps, that everything was announced, and that there was no deadlock."""
    await service.verify(booked)
    await host_lock.verify(bare)
    if deadlocks := await service.deadlocks():
        raise Broken(f"PostgreSQL had to break {deadlocks} deadlocks")


def _rows(all_runs: _Runs) -> list[Row]:
    both = list(zip(all_runs.ours, all_runs.floor, strict=True))
    wall = score([Pair(ours.seconds_each, floor.seconds_each) for ours, floor in both])
    ours_ms, floor_ms, http_ms = (
        [ms for one in runs for ms in one.ms]
        for runs in (all_runs.ours, all_runs.floor, all_runs.http)
    )
    tries = Row(
        "hot",
        f"tries of one host, {TASKS} tasks, without HTTP",
        "/s",
        ours=1 / wall.ours,
        floor=1 / wall.floor,
        ratio=1 / wall.ratio,
        kept=wall.kept,
        p50=percentile(ours_ms, 0.5),
        p99=percentile(ours_ms, 0.99),
        floor_p50=percentile(floor_ms, 0.5),
        floor_p99=percentile(floor_ms, 0.99),
    )
    over_http = Row(
        "hot",
        f"tries of one host, {TASKS} connections, HTTP",
        "/s",
        ours=percentile([1 / one.seconds_each for one in all_runs.http], 0.5),
        p50=percentile(http_ms, 0.5),
        p99=percentile(http_ms, 0.99),
    )
    return [
        tries,
        *_worst_rows(all_runs.ours, all_runs.floor, "without HTTP"),
        over_http,
        *_worst_rows(all_runs.http, None, "HTTP"),
    ]


def _worst_rows(
    ours: Sequence[ContentionRun], floor: Sequence[ContentionRun] | None, how: str
) -> list[Row]:
    def row(name: str, unit: str, of: Callable[[Sequence[ContentionRun]], float]) -> Row:
        return Row("hot", f"  {name}, {how}", unit, of(ours), of(floor) if floor else None)

    return [
        row("longest call", "ms", lambda runs: max(one.longest for one in runs)),
        row(
            f"one time for {CROWD} at once, last answer",
            "ms",
            lambda runs: 1000 * max(one.crowd for one in runs),
        ),
        row("neither yes nor no (503)", "", lambda runs: float(sum(one.busy for one in runs))),
    ]
