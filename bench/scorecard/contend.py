"""Many tasks that want one host, as a program: by booking's own path, or by a bare function in SQL.

Reads one order as JSON from its argument and writes what came of it to standard output.
"""

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import uvloop

from booking.domain.patches import Newcomer, Patch
from booking.handlers.appointments import book
from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.db.database import UNAVAILABLE, Database
from hoop_platform.errors import Refused, Unavailable
from hoop_platform.ids import new_id
from hoop_platform.service.process import tune_garbage_collection

LENGTH = timedelta(minutes=30)
SIZE = 620
"""Bytes of an event as ours are, envelope included."""
BOOKED, TAKEN = "booked", "slot_unavailable"
Deed = Callable[[datetime], Awaitable[str]]
Answers = dict[str, list[float]]
"""Milliseconds of each call, by what came of it."""


@asynccontextmanager
async def _ours(order: dict[str, Any]) -> AsyncIterator[Deed]:
    """What the service does for a POST, without HTTP, key and contact."""
    telemetry.export("booking", None)
    telemetry.enter("booking")
    clock = Clock()
    database = await Database.open(order["dsn"], name="booking", pool_size=order["connections"])

    async def deed(start: datetime) -> str:
        newcomer = Newcomer(new_id(), order["contact"])
        patch = Patch(calendar_id=order["calendar"], start=start, notify=False)
        try:
            await book(
                database,
                order["account"],
                newcomer,
                patch,
                location_id=order["location"],
                now=clock.now(),
            )
        except Refused as refused:
            return refused.code
        except UNAVAILABLE:
            return Unavailable.code  # as the service would answer
        return BOOKED

    try:
        yield deed
    finally:
        await database.close()


@asynccontextmanager
async def _bare(order: dict[str, Any]) -> AsyncIterator[Deed]:
    """One call of a function: lock the host, look, insert."""
    size = order["connections"]

    async with asyncpg.create_pool(
        order["dsn"], min_size=size, max_size=size, timeout=10, command_timeout=10
    ) as pool:

        async def deed(start: datetime) -> str:
            done = await pool.fetchval(
                "SELECT take($1, $2, $3, $4)",
                order["calendar"],
                start,
                start + LENGTH,
                bytes(SIZE),
            )
            return BOOKED if done else TAKEN

        yield deed


async def _fight(deed: Deed, order: dict[str, Any], first: datetime) -> dict[str, Any]:
    """All tasks want any of the starts, again and again until the time is over."""
    answers, dice = defaultdict[str, list[float]](list), random.Random(order["seed"])
    apart = timedelta(seconds=order["apart"])
    begun, cpu = time.perf_counter(), time.process_time()

    async def task() -> None:
        while time.perf_counter() < begun + order["seconds"]:
            await _timed(deed, first + dice.randrange(order["starts"]) * apart, answers)

    await asyncio.gather(*(task() for _ in range(order["tasks"])))
    passed, spent = time.perf_counter() - begun, time.process_time() - cpu
    return {"seconds": passed, "cpu": spent, "answers": answers}


async def _timed(deed: Deed, start: datetime, answers: Answers) -> None:
    begun = time.perf_counter()
    said = await deed(start)
    answers[said].append((time.perf_counter() - begun) * 1000)


async def _crowd(deed: Deed, start: datetime, size: int) -> dict[str, Any]:
    """Everybody wants this time, at once."""
    answers = defaultdict[str, list[float]](list)
    begun = time.perf_counter()
    await asyncio.gather(*(_timed(deed, start, answers) for _ in range(size)))
    return {"seconds": time.perf_counter() - begun, "answers": answers}


async def _main(order: dict[str, Any]) -> dict[str, Any]:
    first, crowd = datetime.fromtimestamp(order["first"], UTC), order["crowd"]
    after = first + timedelta(seconds=order["starts"] * order["apart"], days=2)
    async with (_ours if order["how"] == "booking" else _bare)(order) as deed:
        warm = [deed(after + (2 + n) * LENGTH) for n in range(order["tasks"])]
        warmed = await asyncio.gather(*warm)
        fight = await _fight(deed, order, first)
        wanted = await _crowd(deed, after, crowd)
    return {"warm": warmed.count(BOOKED), "fight": fight, "crowd": wanted}


if __name__ == "__main__":
    tune_garbage_collection()  # as services do
    json.dump(uvloop.run(_main(json.loads(sys.argv[1]))), sys.stdout)
