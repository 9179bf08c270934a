"""The highest rate of bookings with Zoom, Google and mail at which nothing is left behind."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from aiohttp import ClientError

from bench.load.booking_client import BookedAppointment, BookingClient, Calendars
from bench.load.rate_search import Holds, confirmed_rate, highest_rate
from bench.load.task_loops import open_loop
from bench.measures.context import SystemContext
from bench.measures.effect_latency import RateSeries, exported_effect_times, measured_series
from bench.report.findings import Broken, Row
from bench.report.paired_ratios import percentile
from bench.run_plan import Plan
from bench.systems.idle_watch import IdleWatch
from bench.systems.provider_effects import Effects, count_effects

MAIL_LIMIT = 2000.0  # ms from the commit to the accepted mail, p99
OWED_LIMIT = 5.0  # seconds after the last booking until nothing is owed any more
TRACED = 5
"""Of so many bookings one is traced: spans of all would be a load, and more than the collector keeps."""
FIRST, MOST = 8, 512  # bookings a second
PROBE = 15.0  # seconds of a step of the search, at most
TRIES = 4
COMPARED = 20
"""Bookings a second, for the ratios to a produce-consume round trip."""
BROKEN = (Broken, ClientError, TimeoutError)


class Loaded(Protocol):
    """A running system: that of this tree, or one side of a comparison."""

    @property
    def client(self) -> BookingClient: ...

    @property
    def watch(self) -> IdleWatch: ...


@dataclass(frozen=True)
class Burst:
    """Bookings at one rate for some seconds. `refused`: not every one was answered 200."""

    rate: int
    seconds: float
    refused: bool
    mail_p99: float = 0.0
    owed: float = 0.0
    """Seconds after the last booking until nothing was owed."""

    @property
    def holds(self) -> bool:
        return not self.refused and self.mail_p99 <= MAIL_LIMIT and self.owed <= OWED_LIMIT

    @property
    def title(self) -> str:
        return f"bookings a second with mails in time, nothing owed, for {self.seconds:.0f} s"

    def __str__(self) -> str:
        if self.refused:
            return f"{self.rate}/s for {self.seconds:.0f} s: not all were answered 200"
        verdict = "holds" if self.holds else "does not hold"
        return (
            f"{self.rate}/s for {self.seconds:.0f} s {verdict}: mail p99 {self.mail_p99:.0f} ms,"
            f" owed for {self.owed:.1f} s"
        )


async def sustained(context: SystemContext) -> None:
    """Search with short bursts, confirm with a long one; then 20/s beside a bare round trip."""
    calendars = await context.client.create_calendars(context.plan.hosts, connected=True)
    await context.watch.wait_until_idle()
    (series,) = await measured_series(context, calendars, [COMPARED])
    highest = await search(context, calendars, context.plan, context.progress.line)
    context.findings.bursts.append(
        {"measure": "sustained", "rate": highest.rate, **_facts(highest)}
    )
    context.findings.rows += [_row(highest), *_ratios(series)]


async def search(
    system: Loaded, calendars: Calendars, plan: Plan, say: Callable[[str], None]
) -> Burst:
    """Return the burst at the highest rate that held for the plan's seconds; rate 0 if none did."""
    held: dict[int, Burst] = {}
    http, facts = system.client.http, system.client.facts
    before, stored = await count_effects(http, facts), await system.watch.appointments()

    def holds_for(seconds: float) -> Holds:
        async def holds(rate: int) -> bool:
            burst = await _burst(system, calendars, rate, seconds)
            say(f"sustained: {burst}")
            if burst.holds:
                held[rate] = burst
            return burst.holds

        return holds

    probe = min(PROBE, plan.sustain)
    rate = await highest_rate(holds_for(probe), first=FIRST, most=MOST)
    if probe < plan.sustain:
        rate = await confirmed_rate(holds_for(plan.sustain), rate, tries=TRIES)
    effects = (await count_effects(http, facts)).since(before)
    expected = Effects.expected(await system.watch.appointments() - stored)
    if effects != expected:
        raise Broken(f"{effects} were caused instead of {expected}")
    return held.get(rate, Burst(0, plan.sustain, refused=False))


async def _burst(system: Loaded, calendars: Calendars, rate: int, seconds: float) -> Burst:
    """Offer bookings, wait until nothing is owed, and read the mails' times out of the spans."""
    numbers = count()

    async def book() -> tuple[bool, BookedAppointment]:
        traced = next(numbers) % TRACED == 0
        return traced, await system.client.book(calendars, traced=traced)

    try:
        booked = await open_loop(book, rate=rate, seconds=seconds)
    except* BROKEN:
        booked = []
    begun = time.perf_counter()
    await system.watch.wait_until_idle()
    owed = time.perf_counter() - begun
    if not booked:
        return Burst(rate, seconds, refused=True)
    effects = await exported_effect_times(system.client, [one for traced, one in booked if traced])
    mails = [one.after["notifications"] for one in effects]
    return Burst(rate, seconds, refused=False, mail_p99=percentile(mails, 0.99), owed=owed)


def _facts(burst: Burst) -> dict[str, float]:
    return {"seconds": burst.seconds, "mail_p99": burst.mail_p99, "owed": burst.owed}


def _row(burst: Burst) -> Row:
    return Row("sustained", burst.title, "/s", burst.rate, p99=burst.mail_p99)


def _ratios(series: RateSeries) -> list[Row]:
    """Return the two effects that have an aim, beside the floor."""
    return [
        series.row("meetings", measure="sustained", aim="aim 15x, moonshot 5x"),
        series.row("availability", measure="sustained", aim="aim 4x"),
    ]
