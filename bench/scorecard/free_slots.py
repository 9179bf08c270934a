"""Free slots over HTTP from a warm read model, next to an empty handler; the service runs alone."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

from hoop_platform.clock import Clock
from local.testing.client import Client

from . import told
from .alone import Server, empty_handler, ground, serving
from .asking import Series, burst, shuffled
from .measures import Task
from .plan import Broken, Row
from .stats import Pair, percentile, score
from .world import BUSY, DAYS, Kept, World, busy

CLIENTS = (1, 32)
SAMPLES = 25
WARMTH = 1.5
"""Each calendar is asked for so often, on average, before anything is measured; a second at least."""
AGREED = 301
"""Free slots of the workload with seed 1, as independent implementations agree."""


async def free_slots(task: Task) -> None:
    """1,000 calendars with 100 busy times each, 30 days, any calendar; key, query and zone checked."""
    world = World([Kept([busy(BUSY, seed)]) for seed in range(1, task.plan.calendars + 1)])
    async with filled(task, world) as (ours, floor):
        await verify(ours, world)
        everyone = [Series(f"c={clients}") for clients in CLIENTS]
        requests = [world.request(one) for one in world.calendars]
        await _warm(ours, floor, requests)
        with task.talk.steps("free-slots", task.plan.rounds * len(CLIENTS)) as steps:
            for number in range(task.plan.rounds):
                for clients, series in zip(CLIENTS, everyone, strict=True):
                    steps.next(f"round {number + 1}, {clients} connections")
                    await _pair(task, series, clients, (ours, floor), shuffled(requests, number))
        await verify(ours, world)
    for series in everyone:
        task.found.rows += _rows(series)


@asynccontextmanager
async def filled(task: Task, world: World) -> AsyncIterator[tuple[Server, Server]]:
    """The service with this world in its read model, and the empty handler beside it."""
    async with AsyncExitStack() as opened:
        task.talk.say("starting PostgreSQL, Kafka and availability …")
        under = await opened.enter_async_context(ground())
        dsn = await under.database("availability", "availability")
        ours = await opened.enter_async_context(serving(under, dsn))
        counts = await told.publish(under.bootstrap, world.records())
        task.talk.say(f"filling the read model: {sum(counts.values())} events …")
        await told.handled(dsn, {n: counts[n] for n in ("calendars", "appointments")})
        floor = await opened.enter_async_context(empty_handler(under.folder))
        yield ours, floor


async def verify(server: Server, world: World, *, days: int = DAYS) -> None:
    """Sampled answers say what the engine says of the same busy times."""
    chosen = random.Random(days).sample(world.calendars, k=min(SAMPLES, len(world.calendars)))
    async with Client(f"http://127.0.0.1:{server.port}", world.tenant.api_key) as ask:
        for one in [world.calendars[0], *chosen]:
            path, query = world.question(one, days=days)
            answer = await ask("GET", path, query=query)
            said = {day: found["slots"] for day, found in answer.told.items()}
            if answer.status != 200 or said != one.free(days, Clock().now()):
                raise Broken(f"wrong free slots of calendar {one.id}: {answer.body}")
    await _agree(world, days)


async def _agree(world: World, days: int) -> None:
    first = world.calendars[0]
    if days != DAYS or list(first.busy) != [busy(BUSY, 1)]:
        return
    found = sum(map(len, first.free(days, Clock().now()).values()))
    if found != AGREED:
        raise Broken(f"{found} free slots instead of {AGREED}")


async def _warm(ours: Server, floor: Server, requests: list[str]) -> None:
    """Each calendar once in turn, then at random: what can be in memory is there."""
    await burst(ours, requests, connections=8, seconds=120, once=True)
    for server in (ours, floor):
        await burst(server, shuffled(requests, -1), connections=8, seconds=WARMTH)


async def _pair(
    task: Task, series: Series, clients: int, servers: tuple[Server, Server], requests: list[str]
) -> None:
    """One burst of ours, one of the floor."""
    seconds = task.plan.seconds
    ours, floor = [
        await burst(server, requests, connections=clients, seconds=seconds) for server in servers
    ]
    series.add(ours, floor)
    task.found.bursts.append(
        {
            "measure": "free-slots",
            "connections": clients,
            "ours_per_second": 1 / ours.apart,
            "floor_per_second": 1 / floor.apart,
            "ours_cpu_us": ours.cpu * 1e6,
            "floor_cpu_us": floor.cpu * 1e6,
            "generator_share": [ours.driver_share, floor.driver_share],
        }
    )


def _rows(series: Series) -> list[Row]:
    wall, spent = score(series.apart), score(series.cpu)
    mine = [ms for one in series.ours for ms in one.ms]
    least = [ms for one in series.floor for ms in one.ms]
    late = [
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
        p50=percentile(mine, 0.5),
        p99=percentile(mine, 0.99),
        floor_p50=percentile(least, 0.5),
        floor_p99=percentile(least, 0.99),
        ratio_p99=score(late).ratio,
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
