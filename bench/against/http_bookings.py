"""`bookings` and `effects` of two running systems: appointments booked through the edge."""

import time

from bench.against.pairing import Figures, Key
from bench.against.rounds import check_stored, run_rounds, speed_figures
from bench.against.sides import PairContext, RunningSide
from bench.load.booking_client import BookedAppointment, Calendars
from bench.load.task_loops import closed_loop, open_loop
from bench.measures.effect_latency import (
    check_meetings,
    count_meetings,
    exported_effect_times,
)
from bench.measures.effect_spans import EFFECTS
from bench.measures.sustained_rate import search
from bench.report.paired_ratios import percentile
from bench.systems import cpu_time


async def bookings(context: PairContext) -> None:
    """Book unique slots of the hosts in turn through the edge, without providers and mail."""
    plan = context.plan
    calendars = await context.both(
        lambda side: side.client.create_calendars(plan.hosts, connected=False)
    )
    await context.both(lambda side: side.watch.wait_until_idle())
    before = await context.both(lambda side: side.watch.appointments())
    booked = await context.both(lambda side: _warm(side, calendars[side.name]))

    async def one(side: RunningSide, clients: int) -> Figures:
        done, figures = await _bookings_burst(side, calendars[side.name], clients, plan.seconds)
        booked[side.name] += done
        return figures

    await run_rounds(context, "bookings", plan.clients, one, "at a time")
    await context.both(lambda side: check_stored(side, before[side.name], booked[side.name]))


async def _warm(side: RunningSide, calendars: Calendars) -> int:
    done, _ = await closed_loop(lambda: side.client.book(calendars), clients=8, seconds=1)
    await side.watch.wait_until_idle()
    return len(done)


async def _bookings_burst(
    side: RunningSide, calendars: Calendars, clients: int, seconds: float
) -> tuple[int, Figures]:
    """Run one burst; return the number of bookings, and the figures."""
    pids = cpu_time.processes(side.facts)
    before, begun = cpu_time.used(pids), time.perf_counter()
    done, took = await closed_loop(
        lambda: side.client.book(calendars), clients=clients, seconds=seconds
    )
    await side.watch.wait_until_idle()
    after, passed = cpu_time.used(pids), time.perf_counter() - begun
    spent = {
        name: (after[name] - before[name] - side.at_rest[name] * passed) * 1000 / len(done)
        for name in pids
    }
    name = f"c={clients}"
    ms = [one.ms for one in done]
    return len(done), {
        **speed_figures("bookings", f"booked over HTTP, {name}", took / len(done), ms),
        Key("bookings", f"CPU of a booking, {name}, all processes", "CPU ms"): sum(spent.values()),
        Key("bookings", f"CPU of a booking, {name}, booking", "CPU ms"): spent["booking"],
        Key("bookings", f"CPU of a booking, {name}, postgres", "CPU ms"): spent["postgres"],
    }


async def effects(context: PairContext) -> None:
    """Book at fixed rates with Zoom, Google and mail; from each commit to its first effects."""
    plan = context.plan
    calendars = await context.both(
        lambda side: side.client.create_calendars(plan.hosts, connected=True)
    )
    await context.both(lambda side: side.watch.wait_until_idle())
    before = await context.both(lambda side: count_meetings(side.client))
    booked: dict[str, set[str]] = {}
    for side in (context.ours, context.theirs):
        first = await _offer(side, calendars[side.name], 10, plan.hosts / 10)
        booked[side.name] = {one.id for one in first}

    async def one(side: RunningSide, rate: int) -> Figures:
        done = await _offer(side, calendars[side.name], rate, plan.seconds)
        booked[side.name] |= {one.id for one in done}
        return await _effect_figures(side, done, rate)

    await run_rounds(context, "effects", plan.rates, one, "bookings a second")
    for side in (context.ours, context.theirs):
        await check_meetings(side.client, before[side.name] + len(booked[side.name]))


async def sustained(context: PairContext) -> None:
    """Search the highest rate of each side, one after the other: the other system is at rest meanwhile."""
    calendars = await context.both(
        lambda side: side.client.create_calendars(context.plan.hosts, connected=True)
    )

    async def one(side: RunningSide) -> Figures:
        await _offer(side, calendars[side.name], 10, context.plan.hosts / 10)

        def say(text: str) -> None:
            context.progress.line(f"{side.name}: {text}")

        burst = await search(side, calendars[side.name], context.plan, say)
        return {Key("sustained", burst.title, "/s"): burst.rate}

    await context.pair(0, one)


async def _offer(
    side: RunningSide, calendars: Calendars, rate: int, seconds: float
) -> list[BookedAppointment]:
    done = await open_loop(lambda: side.client.book(calendars), rate=rate, seconds=seconds)
    await side.watch.wait_until_idle()
    return done


async def _effect_figures(side: RunningSide, done: list[BookedAppointment], rate: int) -> Figures:
    times = await exported_effect_times(side.client, done)
    series = {"answered over HTTP": [one.ms for one in done]} | {
        f"{service}: {effect}": [one.after[service] for one in times]
        for service, effect in EFFECTS.items()
    }
    figures: dict[Key, float] = {}
    for name, ms in series.items():
        figures[Key("effects", f"{name}, {rate}/s", "ms")] = percentile(ms, 0.5)
        figures[Key("effects", f"{name}, {rate}/s, p99", "ms", tail=True)] = percentile(ms, 0.99)
    return figures
