"""Kill -9 on both sides of the commit of a booking that has an `Idempotency-Key`: it is made once."""

from datetime import datetime
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from hoop_platform.http.idempotency import HEADER, REPLAYED
from hoop_platform.ids import new_id

pytestmark = [pytest.mark.failure, pytest.mark.timeout(180)]


async def _ready(system: Any) -> bool:
    """Whether booking has come back from the kill before, and hears the others."""
    url = system.facts["services"]["booking"]["url"]
    try:
        async with ClientSession() as http, http.get(f"{url}/health/ready") as answer:
            return answer.status == 200
    except ClientError:
        return False


@pytest.mark.parametrize(
    ("point", "replayed"),
    [("booked", None), ("response_stored", None), ("response_committed", "true")],
)
async def test_asked_again_after_a_kill_it_is_one_booking(
    desk: Any, day: datetime, eventually: Any, point: str, replayed: str | None
) -> None:
    """Before the commit nothing was done, after it the answer is there: in both cases one appointment."""
    await eventually(lambda: _ready(desk.system))
    calendar = await desk.calendar(await desk.user(zoom=False), zoom=False)
    said = {"headers": {HEADER: new_id()}}
    body = {
        "calendarId": calendar,
        "locationId": desk.facts["location_id"],
        "contactId": desk.facts["contact_ids"][0],
        "startTime": day.isoformat(),
    }
    order = desk.system.order("booking", point, "kill")
    path = "/calendars/events/appointments"
    lost = await desk.ask("POST", path, body, **said)
    assert (lost.status, order.exists()) == (503, False)

    async def asked_again() -> Any:
        answer = await desk.ask("POST", path, body, **said)
        return answer if answer.status == 200 else None

    first = await eventually(asked_again, within=60)
    assert first.headers.get(REPLAYED) == replayed
    second = await desk.ask("POST", path, body, **said)
    assert second.content == first.content
    rows = await desk.system.sql(
        "booking", "SELECT id FROM appointment WHERE state ->> 'calendarId' = $1", calendar
    )
    assert len(rows) == 1
