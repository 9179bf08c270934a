"""Whoever keeps the event loop for himself is counted; whoever waits, or shares it, is not."""

import asyncio
import time
from collections.abc import Callable

from aiohttp import ClientSession

from hoop_platform import telemetry
from hoop_platform.db.database import Database
from hoop_platform.http.route import Call, Route
from hoop_platform.service import loop_monitor
from hoop_platform.service.service import Service
from local.testing.polling import eventually
from local.testing.service import running


def counted() -> float:
    (metric,) = telemetry.loop_held.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_total"))


def burn(seconds: float) -> None:
    """Compute for so long, whatever else the machine does."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def during(deed: Callable[[], object]) -> float:
    """How many times the loop was held while something was done, or just after."""
    stop, before = asyncio.Event(), counted()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(loop_monitor.monitor_loop(stop))
        await asyncio.sleep(loop_monitor.EVERY / 2)
        deed()
        await asyncio.sleep(loop_monitor.EVERY * 3)
        stop.set()
    return counted() - before


async def test_a_long_computation_is_counted() -> None:
    assert await during(lambda: burn(loop_monitor.LONGEST + 0.05)) == 1


async def test_a_pause_that_is_not_ours_is_not() -> None:
    """The machine was busy with others: no processor time of this process went by."""
    assert await during(lambda: time.sleep(loop_monitor.LONGEST + 0.1)) == 0


async def test_work_in_pieces_holds_nobody_up() -> None:
    """As long in all, but everybody comes in between."""
    stop, before = asyncio.Event(), counted()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(loop_monitor.monitor_loop(stop))
        for _ in range(40):
            burn(0.01)
            await asyncio.sleep(0)
        stop.set()
    assert counted() == before


async def test_a_running_service_watches_itself(database: Database, kafka_bootstrap: str) -> None:
    async def ponder(_: Call) -> dict[str, bool]:
        burn(loop_monitor.LONGEST + 0.05)
        return {"done": True}

    slow = Service("tea", routes=[Route("GET", "/ponder", ponder, scope=None)])
    async with (
        running(slow, database=database, kafka_bootstrap=kafka_bootstrap) as (url, _),
        ClientSession(url) as http,
    ):
        before = counted()
        async with http.get("/ponder") as response:
            assert response.status == 200

        async def noticed() -> bool:
            return counted() > before

        await eventually(noticed)
