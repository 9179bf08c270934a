"""From the commit of a booking to its first effect in each consumer, beside a bare round trip."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from aiohttp import ClientTimeout

from bench.baselines.round_trip import EchoTopic, echo_topic
from bench.load.booking_client import BookedAppointment, BookingClient, Calendars
from bench.load.task_loops import open_loop
from bench.measures.context import SystemContext
from bench.measures.effect_spans import EFFECTS, EffectTimes, effect_times
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import Pair, percentile, score

EXPORT_LIMIT = 30.0  # seconds; services export their spans every half second
HALF, MOST = 0.5, 0.99


@dataclass
class RateSeries:
    """The bursts of one rate: milliseconds by consumer for each burst."""

    rate: int
    latencies: list[float] = field(default_factory=list)
    ours: list[dict[str, list[float]]] = field(default_factory=list)
    floor: list[list[float]] = field(default_factory=list)

    def row(self, service: str, *, measure: str = "effects", aim: str = "") -> Row:
        """Return the row of the effect in this service, beside the floor."""
        return _row(self, service, measure, f" ({aim})" if aim else "")


async def effects(context: SystemContext) -> None:
    """Every host has Zoom, every calendar has Google, and host and contact get mail."""
    calendars = await context.client.create_calendars(context.plan.hosts, connected=True)
    await context.watch.wait_until_idle()
    for series in await measured_series(context, calendars, context.plan.rates):
        context.findings.rows += _rows(series)


async def measured_series(
    context: SystemContext, calendars: Calendars, rates: Sequence[int]
) -> list[RateSeries]:
    """Measure bursts at these rates in turns; Zoom must then have one meeting for each booking."""
    plan, before = context.plan, await count_meetings(context.client)
    all_series = [RateSeries(rate) for rate in rates]
    booked: list[BookedAppointment] = []
    async with echo_topic(context.facts) as topic:
        booked += await _warm(context, calendars, topic)
        with context.progress.steps("effects", plan.rounds * len(all_series)) as steps:
            for number in range(plan.rounds):
                for series in all_series:
                    steps.next(f"round {number + 1}, {series.rate} bookings a second")
                    booked += await _pair(context, series, calendars, topic)
    await context.watch.wait_until_idle()
    await check_meetings(context.client, len(booked) + before)
    return all_series


async def _warm(
    context: SystemContext, calendars: Calendars, topic: EchoTopic
) -> list[BookedAppointment]:
    """Book one slot of each host, for access tokens, connections and caches; return the bookings."""
    first = await open_loop(
        lambda: context.client.book(calendars), rate=10, seconds=len(calendars.ids) / 10
    )
    await open_loop(topic.round_trip, rate=20, seconds=1)
    await context.watch.wait_until_idle()
    return first


async def _pair(
    context: SystemContext, series: RateSeries, calendars: Calendars, topic: EchoTopic
) -> list[BookedAppointment]:
    """Run one burst of ours, until its last effect, and one of the baseline at the same rate."""
    rate, seconds = series.rate, context.plan.seconds
    booked = await open_loop(lambda: context.client.book(calendars), rate=rate, seconds=seconds)
    await context.watch.wait_until_idle()
    effects_of = await exported_effect_times(context.client, booked)
    series.floor.append(await open_loop(topic.round_trip, rate=rate, seconds=seconds))
    series.latencies += [one.ms for one in booked]
    series.ours.append({s: [one.after[s] for one in effects_of] for s in EFFECTS})
    _note(context, series)
    return booked


async def exported_effect_times(
    client: BookingClient, booked: list[BookedAppointment]
) -> list[EffectTimes]:
    """Return the effect times of each booking; `Broken` if one is still missing after `EXPORT_LIMIT`."""
    deadline = time.monotonic() + EXPORT_LIMIT
    while True:
        known = effect_times(await _spans(client))
        lacking = {
            one.id: known[one.id].missing if one.id in known else ["commit"] for one in booked
        }
        lacking = {subject: missing for subject, missing in lacking.items() if missing}
        if not lacking:
            return [known[one.id] for one in booked]
        if time.monotonic() > deadline:
            some = dict(list(lacking.items())[:3])
            raise Broken(f"{len(lacking)} of {len(booked)} bookings lack effects, such as {some}")
        await asyncio.sleep(0.5)


async def _spans(client: BookingClient) -> list[dict[str, Any]]:
    """Return all spans exported so far; a long response, so not while anything is timed."""
    address, timeout = f"{client.facts['spans_url']}/spans", ClientTimeout(total=60)
    async with client.http.get(address, timeout=timeout) as response:
        found: list[dict[str, Any]] = await response.json()
        return found


async def count_meetings(client: BookingClient) -> int:
    """Count the meetings that exist at Zoom."""
    address = client.facts["simulators"]["zoom"] + "/_sim/state"
    async with client.http.get(address) as response:
        return len((await response.json())["meetings"])


async def check_meetings(client: BookingClient, expected: int) -> None:
    """Check that Zoom has exactly so many meetings; call it on an idle system."""
    meetings = await count_meetings(client)
    if meetings != expected:
        raise Broken(f"{expected} meetings were to be made, and Zoom has {meetings}")


def _note(context: SystemContext, series: RateSeries) -> None:
    def both(values: list[float]) -> dict[str, float]:
        return {"p50": percentile(values, HALF), "p99": percentile(values, MOST)}

    context.findings.bursts.append(
        {
            "measure": "effects",
            "rate": series.rate,
            "floor": both(series.floor[-1]),
            **{service: both(values) for service, values in series.ours[-1].items()},
        }
    )


def _rows(series: RateSeries) -> list[Row]:
    answered = Row(
        "effects",
        f"answered over HTTP, {series.rate}/s",
        "ms",
        ours=percentile(series.latencies, HALF),
        p50=percentile(series.latencies, HALF),
        p99=percentile(series.latencies, MOST),
    )
    return [answered, *map(series.row, EFFECTS)]


def _row(series: RateSeries, service: str, measure: str, aim: str) -> Row:
    ours, floor = [burst[service] for burst in series.ours], series.floor
    halves, mosts = (
        score(
            [Pair(percentile(o, at), percentile(f, at)) for o, f in zip(ours, floor, strict=True)]
        )
        for at in (HALF, MOST)
    )
    everything, every_floor = (list(chain.from_iterable(bursts)) for bursts in (ours, floor))
    return Row(
        measure,
        f"{service}: {EFFECTS[service]}, {series.rate}/s{aim}",
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
