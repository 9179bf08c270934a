"""Bookings per second over HTTP, next to a bare transaction of two inserts; CPU seconds of each."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import cpu, floors
from .desk import Booked, Calendars
from .floors import Store
from .load import closed
from .measures import Bench
from .plan import Broken, Row
from .stats import Pair, percentile, score

REST = 4.0  # seconds


@dataclass
class _Series:
    """The bursts of one number of clients; `costs`: seconds for each, on the clock and of CPU."""

    clients: int
    at_rest: dict[str, float]
    """CPU seconds that each process uses in a second when nobody books."""
    costs: list[Pair] = field(default_factory=list)
    cpu: list[Pair] = field(default_factory=list)
    cpu_of: list[dict[str, float]] = field(default_factory=list)
    ours_ms: list[float] = field(default_factory=list)
    floor_ms: list[float] = field(default_factory=list)


async def bookings(bench: Bench) -> None:
    """Unique slots on hosts in turn, nothing connected, no mail: what remains is booking itself."""
    plan = bench.plan
    calendars = await bench.desk.calendars(plan.hosts, connected=False)
    await bench.watch.quiet()
    at_rest = await _at_rest(bench)
    before, made = await bench.watch.appointments(), 0
    everyone = [_Series(clients, at_rest) for clients in plan.clients]
    async with floors.store(bench.facts, clients=max(plan.clients)) as store:
        with bench.talk.steps("bookings", plan.rounds * len(everyone)) as steps:
            for number in range(plan.rounds):
                for series in everyone:
                    steps.next(f"round {number + 1}, {series.clients} at a time")
                    made += await _pair(bench, series, calendars, store, warm=number == 0)
    there = await bench.watch.appointments() - before
    if there != made:
        raise Broken(f"{made} bookings were answered 200, and {there} are there")
    bench.found.rows.append(
        Row(
            "bookings",
            "CPU of a second at rest, all processes",
            "CPU ms",
            sum(at_rest.values()) * 1000,
        )
    )
    for series in everyone:
        bench.found.rows += _rows(series)


async def _pair(
    bench: Bench, series: _Series, calendars: Calendars, store: Store, *, warm: bool
) -> int:
    """One burst of ours and one of the floor; gives how many were booked."""
    warmed = await _warm(bench, series, calendars, store) if warm else 0
    seconds, clients = bench.plan.seconds, series.clients
    pids = cpu.processes(bench.facts)
    at_first, begun = cpu.used(pids), time.perf_counter()
    booked, took = await closed(
        lambda: bench.desk.book(calendars), clients=clients, seconds=seconds
    )
    await bench.watch.quiet()
    after_ours, passed = cpu.used(pids), time.perf_counter() - begun
    written, floor_took = await closed(store.write, clients=clients, seconds=seconds)
    after_floor = cpu.used(pids)
    spent = {
        name: (after_ours[name] - at_first[name] - series.at_rest[name] * passed) / len(booked)
        for name in pids
    }
    floor_spent = (after_floor["postgres"] - after_ours["postgres"]) / len(written)
    _keep(series, booked, took, written, floor_took)
    series.cpu.append(Pair(sum(spent.values()), max(floor_spent, 1e-9)))
    series.cpu_of.append(spent)
    _note(bench, series)
    return len(booked) + warmed


async def _at_rest(bench: Bench) -> dict[str, float]:
    """CPU seconds a second of a system that has nothing to do: it polls, and keeps leases."""
    pids = cpu.processes(bench.facts)
    before, begun = cpu.used(pids), time.perf_counter()
    await asyncio.sleep(REST)
    after, passed = cpu.used(pids), time.perf_counter() - begun
    return {name: (after[name] - before[name]) / passed for name in pids}


async def _warm(bench: Bench, series: _Series, calendars: Calendars, store: Store) -> int:
    """The first of anything is slow: connections, caches, prepared statements."""
    clients = series.clients
    first, _ = await closed(lambda: bench.desk.book(calendars), clients=clients, seconds=0.5)
    await closed(store.write, clients=clients, seconds=0.2)
    await bench.watch.quiet()
    return len(first)


def _keep(
    series: _Series,
    booked: Sequence[Booked],
    took: float,
    written: Sequence[float],
    floor_took: float,
) -> None:
    series.costs.append(Pair(took / len(booked), floor_took / len(written)))
    series.ours_ms += [one.ms for one in booked]
    series.floor_ms += written


def _note(bench: Bench, series: _Series) -> None:
    cost, spent = series.costs[-1], series.cpu[-1]
    bench.found.bursts.append(
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
    """Medians of every burst, for CPU seconds hardly mind what else is going on."""
    found = []
    for process in series.cpu_of[0]:
        spent = sorted(burst[process] for burst in series.cpu_of)
        row = Row("bookings", f"  {process}, {name}", "CPU ms", spent[len(spent) // 2] * 1000)
        found.append(row)
    return found
