"""Concurrent bookings of one host, as a program: by booking's own handler, or by the SQL baseline.

Reads one order as JSON from its argument and writes the results as JSON to standard output.
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

from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.handlers.appointments import book
from booking.store.database import BookingDatabase
from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.errors import Refused, Unavailable
from hoop_platform.ids import new_id
from hoop_platform.service.process import tune_garbage_collection

LENGTH = timedelta(minutes=30)
SIZE = 620
"""Bytes of an event, about as many as ours have, envelope included."""
BOOKED, TAKEN = "booked", "slot_unavailable"
Operation = Callable[[datetime], Awaitable[str]]
Latencies = dict[str, list[float]]
"""Milliseconds of each call, by outcome."""


@asynccontextmanager
async def _ours(order: dict[str, Any]) -> AsyncIterator[Operation]:
    """Yield an operation that does what the service does for a POST, without HTTP and key."""
    telemetry.export("booking", None)
    telemetry.enter("booking")
    clock = Clock()
    database = await BookingDatabase.open(
        order["dsn"], name="booking", pool_size=order["connections"]
    )

    async def operation(start: datetime) -> str:
        appointment = NewAppointment(new_id(), order["contact"])
        patch = AppointmentPatch(calendar_id=order["calendar"], start=start, notify=False)
        try:
            await book(
                database,
                order["account"],
                appointment,
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
        yield operation
    finally:
        await database.close()


@asynccontextmanager
async def _bare(order: dict[str, Any]) -> AsyncIterator[Operation]:
    """Yield an operation that calls the SQL function: lock the host, look, insert."""
    size = order["connections"]

    async with asyncpg.create_pool(
        order["dsn"], min_size=size, max_size=size, timeout=10, command_timeout=10
    ) as pool:

        async def operation(start: datetime) -> str:
            done = await pool.fetchval(
                "SELECT take($1, $2, $3, $4)",
                order["calendar"],
                start,
                start + LENGTH,
                bytes(SIZE),
            )
            return BOOKED if done else TAKEN

        yield operation


async def _contend(operation: Operation, order: dict[str, Any], first: datetime) -> dict[str, Any]:
    """All tasks book random starts until the time is over."""
    latencies, rng = defaultdict[str, list[float]](list), random.Random(order["seed"])
    interval = timedelta(seconds=order["apart"])
    begun, cpu = time.perf_counter(), time.process_time()

    async def task() -> None:
        while time.perf_counter() < begun + order["seconds"]:
            await _timed(operation, first + rng.randrange(order["starts"]) * interval, latencies)

    await asyncio.gather(*(task() for _ in range(order["tasks"])))
    passed, spent = time.perf_counter() - begun, time.process_time() - cpu
    return {"seconds": passed, "cpu": spent, "latencies": latencies}


async def _timed(operation: Operation, start: datetime, latencies: Latencies) -> None:
    begun = time.perf_counter()
    outcome = await operation(start)
    latencies[outcome].append((time.perf_counter() - begun) * 1000)


async def _book_at_once(operation: Operation, start: datetime, size: int) -> dict[str, Any]:
    """`size` tasks book the same start at once."""
    latencies = defaultdict[str, list[float]](list)
    begun = time.perf_counter()
    await asyncio.gather(*(_timed(operation, start, latencies) for _ in range(size)))
    return {"seconds": time.perf_counter() - begun, "latencies": latencies}


async def _main(order: dict[str, Any]) -> dict[str, Any]:
    first, crowd = datetime.fromtimestamp(order["first"], UTC), order["crowd"]
    after = first + timedelta(seconds=order["starts"] * order["apart"], days=2)
    async with (_ours if order["how"] == "booking" else _bare)(order) as operation:
        warm = [operation(after + (2 + n) * LENGTH) for n in range(order["tasks"])]
        warmed = await asyncio.gather(*warm)
        contended = await _contend(operation, order, first)
        simultaneous = await _book_at_once(operation, after, crowd)
    return {"warm": warmed.count(BOOKED), "fight": contended, "crowd": simultaneous}


if __name__ == "__main__":
    tune_garbage_collection()  # as services do
    json.dump(uvloop.run(_main(json.loads(sys.argv[1]))), sys.stdout)
