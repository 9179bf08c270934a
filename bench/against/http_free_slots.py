"""`free-slots` of two running systems: requests at availability's own port."""

from bench.against import http_data
from bench.against.pairing import Figures, Key
from bench.against.rounds import cpu_us, run_rounds, speed_figures
from bench.against.sides import PairContext, RunningSide
from bench.load.socket_burst import burst, shuffled
from bench.measures.free_slots import CLIENTS
from bench.report.findings import Broken

CALENDARS = 20
"""At most: their busy times are created over HTTP, one by one."""


async def free_slots(context: PairContext) -> None:
    """Request 30 days of random calendars at availability's own port; both sides list the same slots."""
    count = min(context.plan.calendars, CALENDARS)
    calendars = await context.both(lambda side: http_data.busy_calendars(side, count))
    listed = await context.both(lambda side: http_data.listed_slots(side, calendars[side.name]))
    if listed[context.ours.name] != listed[context.theirs.name]:
        raise Broken("the two commits list other free slots for the same busy times")
    requests = {
        side.name: [http_data.free_slots_request(side, one) for one in calendars[side.name]]
        for side in (context.ours, context.theirs)
    }
    for side in (context.ours, context.theirs):
        warm = shuffled(requests[side.name], -1)
        await burst(side.server("availability"), warm, connections=8, seconds=1.5)

    async def one(side: RunningSide, clients: int) -> Figures:
        found = await burst(
            side.server("availability"),
            shuffled(requests[side.name], clients),
            connections=clients,
            seconds=context.plan.seconds,
        )
        return {
            **speed_figures(
                "free-slots", f"answered over HTTP, c={clients}", found.seconds_each, found.ms
            ),
            Key("free-slots", f"CPU of an answer, c={clients}, the server", "CPU µs"): cpu_us(
                found, "server"
            ),
        }

    await run_rounds(context, "free-slots", CLIENTS, one, "connections")
