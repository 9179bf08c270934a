"""From the commit of a booking to its first effect in each consumer, next to a bare round trip."""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from aiohttp import ClientTimeout

from . import floors
from .desk import Booked, Calendars
from .floors import Broker
from .load import offered
from .measures import Bench
from .plan import Broken, Row
from .stats import Pair, percentile, score
from .trail import EFFECTS, Trail, trails

EXPORT_LIMIT = 30.0  # seconds; services export their spans every half second
HALF, MOST = 0.5, 0.99


@dataclass
class _Series:
    """The bursts of one rate: for each consumer the milliseconds of each burst."""

    rate: int
    answers: list[float] = field(default_factory=list)
    ours: list[dict[str, list[float]]] = field(default_factory=list)
    floor: list[list[float]] = field(default_factory=list)


async def effects(bench: Bench) -> None:
    """Every host has Zoom, every calendar has Google, and both people get mail."""
    plan = bench.plan
    calendars = await bench.desk.calendars(plan.hosts, connected=True)
    await bench.watch.quiet()
    everyone = [_Series(rate) for rate in plan.rates]
    booked: list[Booked] = []
    async with floors.broker(bench.facts) as broker:
        booked += await _warm(bench, calendars, broker)
        with bench.talk.steps("effects", plan.rounds * len(everyone)) as steps:
            for number in range(plan.rounds):
                for series in everyone:
                    steps.next(f"round {number + 1}, {series.rate} bookings a second")
                    booked += await _pair(bench, series, calendars, broker)
    await _check_meetings(bench, {one.id for one in booked})
    for series in everyone:
        bench.found.rows += _rows(series)


async def _warm(bench: Bench, calendars: Calendars, broker: Broker) -> list[Booked]:
    """One booking with each host: access tokens, connections, caches."""
    first = await offered(
        lambda: bench.desk.book(calendars), rate=10, seconds=len(calendars.ids) / 10
    )
    await offered(broker.round_trip, rate=20, seconds=1)
    await bench.watch.quiet()
    return first


async def _pair(
    bench: Bench, series: _Series, calendars: Calendars, broker: Broker
) -> list[Booked]:
    """One burst of ours, until its last effect, and one of the floor at the same rate."""
    rate, seconds = series.rate, bench.plan.seconds
    booked = await offered(lambda: bench.desk.book(calendars), rate=rate, seconds=seconds)
    await bench.watch.quiet()
    found = await _found(bench, booked)
    series.floor.append(await offered(broker.round_trip, rate=rate, seconds=seconds))
    series.answers += [one.ms for one in booked]
    series.ours.append({s: [trail.after[s] for trail in found] for s in EFFECTS})
    _note(bench, series)
    return booked


async def _found(bench: Bench, booked: list[Booked]) -> list[Trail]:
    """The trail of each booking, complete; `Broken` when an effect is missing for good."""
    deadline = time.monotonic() + EXPORT_LIMIT
    while True:
        known = trails(await _spans(bench))
        lacking = {
            one.id: known[one.id].missing if one.id in known else ["settle"] for one in booked
        }
        lacking = {subject: missing for subject, missing in lacking.items() if missing}
        if not lacking:
            return [known[one.id] for one in booked]
        if time.monotonic() > deadline:
            some = dict(list(lacking.items())[:3])
            raise Broken(f"{len(lacking)} of {len(booked)} bookings lack effects, such as {some}")
        await asyncio.sleep(0.5)


async def _spans(bench: Bench) -> list[dict[str, Any]]:
    """Everything that was exported so far. The answer is long, and nobody is timed meanwhile."""
    address, patience = f"{bench.facts['spans_url']}/spans", ClientTimeout(total=60)
    async with bench.desk.http.get(address, timeout=patience) as response:
        found: list[dict[str, Any]] = await response.json()
        return found


async def _check_meetings(bench: Bench, booked: set[str]) -> None:
    """Nothing twice: Zoom has one meeting for each booking, each with a slot of its own."""
    await bench.watch.quiet()
    address = bench.facts["simulators"]["zoom"] + "/_sim/state"
    async with bench.desk.http.get(address) as response:
        there = len((await response.json())["meetings"])
    if there != len(booked):
        raise Broken(f"{len(booked)} bookings, and Zoom has {there} meetings")


def _note(bench: Bench, series: _Series) -> None:
    def both(values: list[float]) -> dict[str, float]:
        return {"p50": percentile(values, HALF), "p99": percentile(values, MOST)}

    bench.found.bursts.append(
        {
            "measure": "effects",
            "rate": series.rate,
            "floor": both(series.floor[-1]),
            **{service: both(values) for service, values in series.ours[-1].items()},
        }
    )


def _rows(series: _Series) -> list[Row]:
    answered = Row(
        "effects",
        f"answered over HTTP, {series.rate}/s",
        "ms",
        ours=percentile(series.answers, HALF),
        p50=percentile(series.answers, HALF),
        p99=percentile(series.answers, MOST),
    )
    return [answered, *(_row(series, service) for service in EFFECTS)]


def _row(series: _Series, service: str) -> Row:
    ours, floor = [burst[service] for burst in series.ours], series.floor
    halves, mosts = (
        score(
            [Pair(percentile(o, at), percentile(f, at)) for o, f in zip(ours, floor, strict=True)]
        )
        for at in (HALF, MOST)
    )
    everything, every_floor = (list(chain.from_iterable(bursts)) for bursts in (ours, floor))
    return Row(
        "effects",
        f"{service}: {EFFECTS[service]}, {series.rate}/s",
        "ms",
        ours=halves.ours,
        floor=halves.floor,
        ratio=halves.ratio,
        kept=halves.kept,
        p50=percentile(everything, HALF),
        p99=percentile(everything, MOST),
        floor_p50=percentile(every_floor, HALF),
        floor_p99=percentile(every_floor, MOST),
        ratio_p99=mosts.ratio,
    )
