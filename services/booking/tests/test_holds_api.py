"""Holds as a client of the API sees them: keep a time, book it, or give it back."""

from collections import Counter
from datetime import datetime
from typing import Any

from hoop_platform.ids import new_id


async def hold(office: Any, calendar: str, at: str = "2027-03-01T14:00:00Z", **fields: Any) -> Any:
    return await office.request("POST", f"/calendars/{calendar}/holds", {"startTime": at, **fields})


async def test_a_hold_is_kept_and_booked(office: Any) -> None:
    """The response has the expiry; the time is refused to others; the appointment has the id."""
    calendar = await office.calendar()
    held = await hold(office, calendar, ttlSeconds=900)
    shown = held.body["hold"]
    assert held.status == 201
    assert shown["startTime"] == "2027-03-01T09:00:00-05:00"
    assert shown["endTime"] == "2027-03-01T09:30:00-05:00"
    assert shown["assignedUserId"] == office.tenant.user_ids[0]
    seconds = datetime.fromisoformat(shown["expiresAt"]) - office.runtime.clock.now()
    assert 880 < seconds.total_seconds() <= 900

    lost = await office.book(calendar)
    assert (lost.status, len(lost.body["alternatives"])) == (400, 5)
    booked = await office.book(calendar, holdId=shown["id"])
    assert (booked.status, booked.body["id"]) == (200, shown["id"])
    again = await office.book(calendar, holdId=shown["id"])
    assert (again.status, again.body["reason"]) == (400, "hold_gone")
    assert await office.violations() == []


async def test_what_is_held_is_what_is_booked(office: Any) -> None:
    """Another time, another host or a rule beside the hold is refused; the hold stays."""
    calendar = await office.calendar()
    held = (await hold(office, calendar)).body["hold"]["id"]
    for minutes, fields in (
        (30, {}),
        (0, {"endTime": "2027-03-01T15:00:00Z"}),
        (0, {"assignedUserId": office.tenant.user_ids[1]}),
        (0, {"rrule": "FREQ=DAILY;COUNT=2"}),
        (0, {"appointmentStatus": "cancelled"}),
    ):
        response = await office.book(calendar, minutes, holdId=held, **fields)
        assert response.status == 422, fields
    for unknown in (new_id(), "x"):
        response = await office.book(calendar, holdId=unknown)
        assert (response.status, response.body["reason"]) == (400, "hold_gone")
    assert (await office.book(calendar, holdId=held)).status == 200


async def test_giving_back_twice_answers_the_same(office: Any) -> None:
    """The response for a released or booked hold is the same again; for another account 404."""
    calendar, other = await office.calendar(), await office.calendar()
    held = (await hold(office, calendar)).body["hold"]["id"]

    async def release(on: str, which: str) -> tuple[int, Any]:
        response = await office.request("DELETE", f"/calendars/{on}/holds/{which}")
        return response.status, response.content

    assert (await release(other, held))[0] == 404
    assert [await release(calendar, held) for _ in range(2)] == [(200, {"success": True})] * 2
    assert (await release(other, held))[0] == 404
    assert (await release(calendar, new_id()))[0] == 404
    booked = (await hold(office, calendar)).body["hold"]["id"]
    assert (await office.book(calendar, holdId=booked)).status == 200
    assert await release(calendar, booked) == (200, {"success": True})
    assert (await office.request("GET", f"/calendars/events/appointments/{booked}")).status == 200
    kinds = Counter(kind for kind, _ in await office.announced(held))
    assert kinds == {"HoldChanged": 1, "HoldDeleted": 1}


async def test_bounds_of_a_hold(office: Any) -> None:
    """Fifteen minutes at most, under the rules of a booking, on a calendar that is there."""
    calendar = await office.calendar()
    for fields, status in (
        ({"ttlSeconds": 0}, 422),
        ({"ttlSeconds": 901}, 422),
        ({"ttlSeconds": "60"}, 422),
        ({"endTime": "2027-03-01T13:00:00Z"}, 422),
        ({"assignedUserId": office.tenant.user_ids[1]}, 422),
        ({"endTime": "2027-03-01T15:00:00Z"}, 400),
        ({"contactId": new_id()}, 422),
    ):
        assert (await hold(office, calendar, **fields)).status == status, fields
    closed = await hold(office, calendar, "2027-03-01T05:00:00Z")
    assert (closed.status, closed.body["code"]) == (400, "slot_unavailable")
    assert (await hold(office, new_id())).status == 404
