"""Many want the same: exactly as many get it as there is room, and nobody deadlocks."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system


@pytest.fixture
async def no_deadlock(system: Any) -> Any:
    """The Postgres log of this test holds no deadlock."""
    log = Path(system.facts["postgres_log"])
    before = log.stat().st_size
    yield
    assert "deadlock detected" not in log.read_bytes()[before:].decode(errors="replace")


async def test_fifty_want_one_slot(desk: Any, day: datetime, no_deadlock: None) -> None:
    calendar = await desk.calendar(await desk.user(zoom=False), zoom=False)
    answers = await asyncio.gather(*(desk.book(calendar, day) for _ in range(50)))
    assert Counter(a.status for a in answers) == {200: 1, 400: 49}


async def test_fifty_want_a_class_of_ten(desk: Any, day: datetime, no_deadlock: None) -> None:
    user = await desk.user(zoom=False)
    calendar = await desk.calendar(
        user,
        zoom=False,
        calendarType="class_booking",
        appoinmentPerSlot=10,
        allowSameContact=True,
    )
    answers = await asyncio.gather(*(desk.book(calendar, day) for _ in range(50)))
    assert Counter(a.status for a in answers) == {200: 10, 400: 40}


async def test_one_contact_wants_a_class_of_ten(
    desk: Any, day: datetime, no_deadlock: None
) -> None:
    """Twenty clicks at once are one seat; each refusal names it."""
    user = await desk.user(zoom=False)
    calendar = await desk.calendar(
        user, zoom=False, calendarType="class_booking", appoinmentPerSlot=10
    )
    answers = await asyncio.gather(*(desk.book(calendar, day) for _ in range(20)))
    assert Counter(a.status for a in answers) == {200: 1, 409: 19}
    [seat] = [a.body["id"] for a in answers if a.status == 200]
    assert {a.body["appointmentId"] for a in answers if a.status == 409} == {seat}


async def test_one_host_two_calendars_overlapping_starts(
    desk: Any, day: datetime, no_deadlock: None
) -> None:
    """Starts every 15 minutes, 30 minutes long, buffers of 10 and 20, on two calendars: never two at once."""
    user = await desk.user(zoom=False)
    settings = {"slotDuration": 30, "slotInterval": 15, "preBuffer": 10, "slotBuffer": 20}
    calendars = [await desk.calendar(user, zoom=False, **settings) for _ in range(2)]
    asked = [
        desk.book(calendar, day + timedelta(minutes=15 * n))
        for n in range(40)
        for calendar in calendars
    ]
    answers = await asyncio.gather(*asked)
    assert {a.status for a in answers} == {200, 400}
    starts = sorted(datetime.fromisoformat(a.body["startTime"]) for a in answers if a.status == 200)
    gaps = [b - a for a, b in pairwise(starts)]
    assert min(gaps) >= timedelta(minutes=50)
