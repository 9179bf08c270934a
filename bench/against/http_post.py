"""`post` and `hot` of two running systems: appointments booked at booking's own port."""

import random

from bench.against import http_data
from bench.against.pairing import Figures, Key
from bench.against.rounds import check_stored, cpu_us, run_rounds, speed_figures
from bench.against.sides import PairContext, RunningSide
from bench.load.booking_requests import SlotRequests, booking_request, refused
from bench.load.socket_burst import Burst, burst
from bench.load.workload import FIRST
from bench.measures import hot_host, post_appointment
from bench.report.findings import Broken

CALENDARS = 100
"""For `post`, at most: each has 1440 slots."""
MOST = 2000
"""Requests prepared for each second of a burst of `post`."""


async def post(context: PairContext) -> None:
    """Book free slots of random hosts at booking's own port; every hundredth request must be refused."""
    plan = context.plan
    count = min(plan.calendars, CALENDARS)
    requests = await context.both(lambda side: _slots(side, count))
    before = await context.both(lambda side: side.watch.appointments())
    booked = await context.both(lambda side: _book_taken(side, requests[side.name]))
    cases = post_appointment.CLIENTS

    async def one(side: RunningSide, clients: int) -> Figures:
        slots = requests[side.name]
        found = await _post_burst(side, slots, clients, plan.seconds)
        booked[side.name] += found.count(post_appointment.BOOKED)
        return _post_figures(found, clients)

    await run_rounds(context, "post", cases, one, "connections")
    await context.both(lambda side: check_stored(side, before[side.name], booked[side.name]))


async def _slots(side: RunningSide, count: int) -> SlotRequests:
    return SlotRequests(side.client.account, await http_data.calendars(side, "post", count))


async def _book_taken(side: RunningSide, slots: SlotRequests) -> int:
    """Book the slots for which later requests are refused; then warm up; return the bookings."""
    taken = await burst(side.server("booking"), slots.taken, connections=8, seconds=60, once=True)
    warm = await _post_burst(side, slots, 8, 2)
    return len(taken.ms) + warm.count(post_appointment.BOOKED)


async def _post_burst(
    side: RunningSide, slots: SlotRequests, clients: int, seconds: float
) -> Burst:
    found = await burst(
        side.server("booking"),
        slots.next(int(seconds * MOST)),
        connections=clients,
        seconds=seconds,
        once=True,
        expects={post_appointment.BOOKED, post_appointment.REFUSED},
        settle=side.watch.wait_until_idle,
    )
    slots.use(len(found.ms))
    wrong = found.count(post_appointment.REFUSED)
    if wrong != refused(len(found.ms)):
        raise Broken(f"{side.name}: {wrong} of {len(found.ms)} bookings were refused")
    return found


def _post_figures(found: Burst, clients: int) -> Figures:
    booked = found.latencies[post_appointment.BOOKED]
    of = f"of a booking, c={clients}"
    return {
        **speed_figures("post", f"booked over HTTP, c={clients}", found.seconds_each, booked),
        Key("post", f"CPU {of}, booking", "CPU µs"): cpu_us(found, "server"),
        Key("post", f"CPU {of}, postgres", "CPU µs"): cpu_us(found, "postgres"),
    }


async def hot(context: PairContext) -> None:
    """Over 32 connections book random starts of one host, a new one each round; then 200 the same start."""
    rounds = context.plan.rounds
    hosts = await context.both(
        lambda side: http_data.calendars(side, "hot", rounds, slotInterval=15)
    )

    with context.progress.steps("hot", rounds) as steps:
        for number in range(rounds):
            steps.next(f"round {number + 1}")

            async def one(side: RunningSide, number: int = number) -> Figures:
                return await _contend(context, side, hosts[side.name][number])

            await context.pair(number, one)


async def _contend(context: PairContext, side: RunningSide, calendar: str) -> Figures:
    outcomes = (hot_host.HTTP_BOOKED, hot_host.HTTP_TAKEN, hot_host.HTTP_BUSY)
    rng, account = random.Random(1), side.client.account
    interval, starts = hot_host.INTERVAL, hot_host.STARTS
    requests = [
        booking_request(account, calendar, FIRST + rng.randrange(starts) * interval)
        for _ in range(10 * starts)
    ]
    found = await burst(
        side.server("booking"),
        requests,
        connections=hot_host.TASKS,
        seconds=context.plan.seconds,
        expects={*outcomes},
        settle=side.watch.wait_until_idle,
    )
    same = booking_request(account, calendar, FIRST + (starts + 100) * interval)
    crowd = await burst(
        side.server("booking"),
        [same] * hot_host.CROWD,
        connections=hot_host.CROWD,
        seconds=60,
        once=True,
        expects={*outcomes},
        settle=side.watch.wait_until_idle,
    )
    hot_host.check_one_winner(crowd.latencies, outcomes[0], {*outcomes}, side.name)
    tries = [ms for outcome in outcomes[:2] for ms in found.latencies.get(outcome, [])]
    name = f"tries of one host, {hot_host.TASKS} connections, HTTP"
    at_once = f"one time for {hot_host.CROWD} at once, last answer, HTTP"
    return {
        **speed_figures("hot", name, found.seconds / len(tries), tries),
        Key("hot", "longest call, HTTP", "ms", tail=True): max(found.ms),
        Key("hot", at_once, "ms"): 1000 * crowd.seconds,
        Key("hot", "CPU of a try, HTTP, booking", "CPU µs"): cpu_us(found, "server"),
        Key("hot", "CPU of a try, HTTP, postgres", "CPU µs"): cpu_us(found, "postgres"),
    }
