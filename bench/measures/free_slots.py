"""Free slots over HTTP from a warm read model, beside an empty handler; the service runs alone."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Any

from bench.load import event_records
from bench.load.socket_burst import Series, burst, shuffled
from bench.load.workload import BUSY, DAYS, Workload, WorkloadCalendar, busy
from bench.measures.context import Context
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, percentile, score
from bench.systems.single_service import (
    MeasuredServer,
    running_empty_handler,
    running_servers,
    running_service,
)
from hoop_platform.clock import Clock
from local.testing.client import Client

CLIENTS = (1, 32)
SAMPLES = 25
WARMTH = 1.5
"""Seconds of the burst that warms up each server before the first measured one."""
AGREED = 301
"""Free slots of the workload with seed 1, on which independent implementations agree."""


async def free_slots(context: Context) -> None:
    """Request 30 days of random calendars, each with 100 busy times; key, query and time zone are checked."""
    workload = Workload(
        [WorkloadCalendar([busy(BUSY, seed)]) for seed in range(1, context.plan.calendars + 1)]
    )
    async with filled(context, workload) as (ours, floor):
        await verify(ours, workload)
        all_series = [Series(f"c={clients}") for clients in CLIENTS]
        requests = [workload.free_slots_request(one) for one in workload.calendars]
        await _warm(ours, floor, requests)
        with context.progress.steps("free-slots", context.plan.rounds * len(CLIENTS)) as steps:
            for number in range(context.plan.rounds):
                for clients, series in zip(CLIENTS, all_series, strict=True):
                    steps.next(f"round {number + 1}, {clients} connections")
                    await _pair(context, series, clients, (ours, floor), shuffled(requests, number))
        await verify(ours, workload)
    for series in all_series:
        context.findings.rows += _rows(series)


@asynccontextmanager
async def filled(
    context: Context, workload: Workload
) -> AsyncIterator[tuple[MeasuredServer, MeasuredServer]]:
    """Run the service with this workload in its read model, and the empty handler beside it."""
    async with AsyncExitStack() as opened:
        context.progress.line("starting PostgreSQL, Kafka and availability …")
        servers = await opened.enter_async_context(running_servers())
        dsn = await servers.database("availability", "availability")
        ours = await opened.enter_async_context(running_service(servers, dsn))
        counts = await event_records.publish(servers.bootstrap, workload.records())
        context.progress.line(f"filling the read model: {sum(counts.values())} events …")
        await event_records.wait_until_consumed(
            dsn, {n: counts[n] for n in ("calendars", "appointments")}
        )
        floor = await opened.enter_async_context(running_empty_handler(servers.folder))
        yield ours, floor


async def verify(server: MeasuredServer, workload: Workload, *, days: int = DAYS) -> None:
    """Check that sampled responses are what the slot engine computes from the same busy times."""
    chosen = random.Random(days).sample(workload.calendars, k=min(SAMPLES, len(workload.calendars)))
    async with Client(f"http://127.0.0.1:{server.port}", workload.tenant.api_key) as client:
        for one in [workload.calendars[0], *chosen]:
            path, query = workload.free_slots_query(one, days=days)
            response = await client("GET", path, query=query)
            found = {day: value["slots"] for day, value in _days(response.body).items()}
            if response.status != 200 or found != one.free(days, Clock().now()):
                raise Broken(f"wrong free slots of calendar {one.id}: {response.body}")
    _check_count(workload, days)


def _days(body: Any) -> dict[str, Any]:
    """Return the days of a response without its trace id."""
    return {name: value for name, value in body.items() if name != "traceId"}


def _check_count(workload: Workload, days: int) -> None:
    first = workload.calendars[0]
    if days != DAYS or list(first.busy) != [busy(BUSY, 1)]:
        return
    found = sum(map(len, first.free(days, Clock().now()).values()))
    if found != AGREED:
        raise Broken(f"{found} free slots instead of {AGREED}")


async def _warm(ours: MeasuredServer, floor: MeasuredServer, requests: list[str]) -> None:
    """Request each calendar once, then at random, so that what is cached is in memory."""
    await burst(ours, requests, connections=8, seconds=120, once=True)
    for server in (ours, floor):
        await burst(server, shuffled(requests, -1), connections=8, seconds=WARMTH)


async def _pair(
    context: Context,
    series: Series,
    clients: int,
    servers: tuple[MeasuredServer, MeasuredServer],
    requests: list[str],
) -> None:
    """Run one burst of ours, and one of the baseline."""
    seconds = context.plan.seconds
    ours, floor = [
        await burst(server, requests, connections=clients, seconds=seconds) for server in servers
    ]
    series.add(ours, floor)
    context.findings.bursts.append(
        {
            "measure": "free-slots",
            "connections": clients,
            "ours_per_second": 1 / ours.seconds_each,
            "floor_per_second": 1 / floor.seconds_each,
            "ours_cpu_us": ours.cpu * 1e6,
            "floor_cpu_us": floor.cpu * 1e6,
            "generator_share": [ours.driver_share, floor.driver_share],
        }
    )


def _rows(series: Series) -> list[Row]:
    wall, spent = score(series.seconds_each), score(series.cpu)
    ours_ms = [ms for one in series.ours for ms in one.ms]
    floor_ms = [ms for one in series.floor for ms in one.ms]
    at_p99 = [
        Pair(percentile(a.ms, 0.99), percentile(b.ms, 0.99))
        for a, b in zip(series.ours, series.floor, strict=True)
    ]
    speed = Row(
        "free-slots",
        f"answered over HTTP, {series.name}",
        "/s",
        ours=1 / wall.ours,
        floor=1 / wall.floor,
        ratio=1 / wall.ratio,
        kept=wall.kept,
        p50=percentile(ours_ms, 0.5),
        p99=percentile(ours_ms, 0.99),
        floor_p50=percentile(floor_ms, 0.5),
        floor_p99=percentile(floor_ms, 0.99),
        ratio_p99=score(at_p99).ratio,
    )
    cost = Row(
        "free-slots",
        f"CPU of an answer, {series.name}, the server",
        "CPU µs",
        ours=spent.ours * 1e6,
        floor=spent.floor * 1e6,
        ratio=spent.ratio,
        kept=spent.kept,
    )
    share = Row(
        "free-slots",
        f"  load generator, of its core, {series.name}",
        "%",
        ours=100 * median(one.driver_share for one in series.ours),
        floor=100 * median(one.driver_share for one in series.floor),
    )
    return [speed, cost, share]
