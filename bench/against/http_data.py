"""The data of a comparison over HTTP, the same on both sides: users, calendars, and blocked times."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from bench.against.sides import RunningSide
from bench.load.booking_client import until_known
from bench.load.booking_requests import http_request
from bench.load.workload import BUSY, DAY, DAYS, FIRST, OPEN, ZONE, busy
from bench.report.findings import Broken
from hoop_scheduling.zones import epoch_ms

AT_ONCE = 8
LISTED_LIMIT = 60.0  # seconds


async def calendars(
    side: RunningSide, prefix: str, count: int, **settings: object
) -> Sequence[str]:
    """Create calendars with a new host each; return their ids."""
    created = await _create(side, prefix, count, settings)
    await side.watch.wait_until_idle()
    return [calendar for _, calendar in created]


async def busy_calendars(side: RunningSide, count: int) -> Sequence[str]:
    """Create calendars whose hosts have 100 blocked times each; return their ids."""
    created = await _create(side, "free-slots", count, {"openHours": OPEN})
    limit = asyncio.Semaphore(AT_ONCE)

    async def block(user: str, start: int, end: int) -> None:
        body = {
            "locationId": side.client.account.location_id,
            "assignedUserId": user,
            "title": "Busy",
            "startTime": _instant(start),
            "endTime": _instant(end),
        }
        async with limit:
            await side.client.request("POST", "/calendars/events/block-slots", body)

    async with asyncio.TaskGroup() as group:
        for seed, (user, _) in enumerate(created, 1):
            for start, end in busy(BUSY, seed):
                group.create_task(block(user, start, end))
    await side.watch.wait_until_idle()
    return [calendar for _, calendar in created]


async def _create(
    side: RunningSide, prefix: str, count: int, settings: Mapping[str, object]
) -> list[tuple[str, str]]:
    """Create users, each with a calendar; return pairs of user and calendar."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def create(number: int) -> tuple[str, str]:
        async with limit:
            user = await side.client.create_user(f"{prefix}-{number}")
            return user, await side.client.create_calendar(user, **settings)

    return await asyncio.gather(*map(create, range(count)))


async def listed_slots(side: RunningSide, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the free slots of these calendars, once availability has consumed everything."""
    deadline, last = time.monotonic() + LISTED_LIMIT, list[dict[str, Any]]()
    while True:
        listed = [await _listed(side, calendar) for calendar in ids]
        if listed == last:
            return listed
        if time.monotonic() > deadline:
            raise Broken(f"{side.name}: free slots still change after {LISTED_LIMIT:.0f} s")
        last = listed
        await asyncio.sleep(2)


async def _listed(side: RunningSide, calendar: str) -> dict[str, Any]:
    path, query = f"/calendars/{calendar}/free-slots", _query()
    body = await until_known(lambda: side.client.request("GET", path, **query))
    return {day: value["slots"] for day, value in body.items() if day != "traceId"}


def free_slots_request(side: RunningSide, calendar: str) -> str:
    """Return the whole HTTP request for 30 days of this calendar, as text."""
    path = f"/calendars/{calendar}/free-slots?{urlencode(_query())}"
    return http_request("GET", path, side.client.account.api_key)


def _query() -> dict[str, str]:
    first = epoch_ms(FIRST)
    return {"startDate": str(first), "endDate": str(first + DAYS * DAY), "timezone": ZONE}


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
