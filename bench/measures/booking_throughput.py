"""Bookings per second over HTTP, beside a bare transaction of two inserts; CPU time of each."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.baselines.bare_transaction import BareStore, bare_store
from bench.load.booking_client import BookedAppointment, Calendars
from bench.load.task_loops import closed_loop
from bench.measures.context import SystemContext
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, percentile, score
from bench.systems import cpu_time

REST = 4.0  # seconds


@dataclass
class _Series:
    """The bursts of one number of clients: seconds for each booking, wall-clock and CPU."""

    clients: int
    at_rest: dict[str, float]
    """CPU seconds of each process in a second without bookings."""
    costs: list[Pair] = field(default_factory=list)
    cpu: list[Pair] = field(default_factory=list)
    cpu_of: list[dict[str, float]] = field(default_factory=list)
    ours_ms: list[float] = field(default_factory=list)
    floor_ms: list[float] = field(default_factory=list)


async def bookings(context: SystemContext) -> None:
    """Book unique slots of the hosts in turn, without providers and mail."""
    plan = context.plan
    calendars = await context.client.create_calendars(plan.hosts, connected=False)
    await context.watch.wait_until_idle()
    at_rest = await cpu_at_rest(context.facts)
    before, created = await context.watch.appointments(), 0
    all_series = [_Series(clients, at_rest) for clients in plan.clients]
    async with bare_store(context.facts, clients=max(plan.clients)) as store:
        with context.progress.steps("bookings", plan.rounds * len(all_series)) as steps:
            for number in range(plan.rounds):
                for series in all_series:
                    steps.next(f"round {number + 1}, {series.clients} at a time")
                    created += await _pair(context, series, calendars, store, warm=number == 0)
    stored = await context.watch.appointments() - before
    if stored != created:
        raise Broken(f"{created} bookings were answered 200, and {stored} are stored")
    context.findings.rows.append(
        Row(
            "bookings",
            "CPU of a second at rest, all processes",
            "CPU ms",
            sum(at_rest.values()) * 1000,
        )
    )
    for series in all_series:
        context.findings.rows += _rows(series)


async def _pair(
    context: SystemContext, series: _Series, calendars: Calendars, store: BareStore, *, warm: bool
) -> int:
    """Run one burst of ours and one of the baseline; return how many were booked."""
    warmed = await _warm(context, series, calendars, store) if warm else 0
    seconds, clients = context.plan.seconds, series.clients
    pids = cpu_time.processes(context.facts)
    at_first, begun = cpu_time.used(pids), time.perf_counter()
    booked, took = await closed_loop(
        lambda: context.client.book(calendars), clients=clients, seconds=seconds
    )
    await context.watch.wait_until_idle()
    after_ours, passed = cpu_time.used(pids), time.perf_counter() - begun
    written, floor_took = await closed_loop(store.write, clients=clients, seconds=seconds)
    after_floor = cpu_time.used(pids)
    spent = {
        name: (after_ours[name] - at_first[name] - series.at_rest[name] * passed) / len(booked)
        for name in pids
    }
    floor_spent = (after_floor["postgres"] - after_ours["postgres"]) / len(written)
    _keep(series, booked, took, written, floor_took)
    series.cpu.append(Pair(sum(spent.values()), max(floor_spent, 1e-9)))
    series.cpu_of.append(spent)
    _note(context, series)
    return len(booked) + warmed


async def cpu_at_rest(facts: Mapping[str, Any]) -> dict[str, float]:
    """Return CPU seconds a second, by process, of the idle system, which polls and renews leases."""
    pids = cpu_time.processes(facts)
    before, begun = cpu_time.used(pids), time.perf_counter()
    await asyncio.sleep(REST)
    after, passed = cpu_time.used(pids), time.perf_counter() - begun
    return {name: (after[name] - before[name]) / passed for name in pids}


async def _warm(
    context: SystemContext, series: _Series, calendars: Calendars, store: BareStore
) -> int:
    """Run a short burst first, for connections, caches and prepared statements; return its bookings."""
    clients = series.clients
    first, _ = await closed_loop(
        lambda: context.client.book(calendars), clients=clients, seconds=0.5
    )
    await closed_loop(store.write, clients=clients, seconds=0.2)
    await context.watch.wait_until_idle()
    return len(first)


def _keep(
    series: _Series,
    booked: Sequence[BookedAppointment],
    took: float,
    written: Sequence[float],
    floor_took: float,
) -> None:
    series.costs.append(Pair(took / len(booked), floor_took / len(written)))
    series.ours_ms += [one.ms for one in booked]
    series.floor_ms += written


def _note(context: SystemContext, series: _Series) -> None:
    cost, spent = series.costs[-1], series.cpu[-1]
    context.findings.bursts.append(
        {
            "measure": "bookings",
            "clients": series.clients,
            "ours_per_second": 1 / cost.ours,
            "floor_per_second": 1 / cost.floor,
            "ours_cpu_ms": spent.ours * 1000,
            "floor_cpu_ms": spent.floor * 1000,
            "cpu_ms_by_process": {n: s * 1000 for n, s in series.cpu_of[-1].items()},
        }
    )


def _rows(series: _Series) -> list[Row]:
    wall, spent = score(series.costs), score(series.cpu)
    name = f"c={series.clients}"
    speed = Row(
        "bookings",
        f"booked over HTTP, {name}",
        "/s",
        ours=1 / wall.ours,
        floor=1 / wall.floor,
        ratio=1 / wall.ratio,
        kept=wall.kept,
        p50=percentile(series.ours_ms, 0.5),
        p99=percentile(series.ours_ms, 0.99),
        floor_p50=percentile(series.floor_ms, 0.5),
        floor_p99=percentile(series.floor_ms, 0.99),
    )
    total = Row(
        "bookings",
        f"CPU of a booking, {name}, all processes",
        "CPU ms",
        ours=spent.ours * 1000,
        floor=spent.floor * 1000,
        ratio=spent.ratio,
        kept=spent.kept,
    )
    return [speed, total, *_by_process(series, name)]


def _by_process(series: _Series, name: str) -> list[Row]:
    """Return a row for each process: the median of all bursts."""
    found = []
    for process in series.cpu_of[0]:
        spent = sorted(burst[process] for burst in series.cpu_of)
        row = Row("bookings", f"  {process}, {name}", "CPU ms", spent[len(spent) // 2] * 1000)
        found.append(row)
    return found
