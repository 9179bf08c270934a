"""Bookings repeated with their `Idempotency-Key`: one appointment, one event, one response."""

import asyncio
from collections import Counter
from typing import Any

from hoop_platform.http.idempotency import HEADER, REPLAYED
from hoop_platform.ids import new_id


def asked(office: Any, calendar: str, minutes: int = 0) -> dict[str, Any]:
    return {
        "calendarId": calendar,
        "locationId": office.tenant.location_id,
        "contactId": office.tenant.contact_ids[0],
        "startTime": office_time(minutes),
    }


def office_time(minutes: int) -> str:
    return f"2027-03-01T{9 + minutes // 60:02}:{minutes % 60:02}:00-05:00"


async def post(office: Any, key: str, body: dict[str, Any]) -> Any:
    return await office.request(
        "POST", "/calendars/events/appointments", body, headers={HEADER: key}
    )


async def booked(office: Any) -> int:
    found: int = await office.runtime.db.fetchval("SELECT count(*) FROM appointment")
    return found


async def test_twenty_at_once_with_one_key_are_one_booking(office: Any) -> None:
    """One response says that it is booked; the others say the same, or 409."""
    body = asked(office, await office.calendar(appoinmentPerSlot=50, calendarType="event"))
    responses = await asyncio.gather(*(post(office, "mine", body) for _ in range(20)))
    fates = Counter(response.status for response in responses)
    assert fates[200] >= 1
    assert fates == {200: fates[200], 409: 20 - fates[200]}
    assert len({response.body["id"] for response in responses if response.status == 200}) == 1
    assert await booked(office) == 1
    last = await post(office, "mine", body)
    assert last.headers[REPLAYED] == "true"
    assert [kind for kind, _ in await office.announced(last.body["id"])] == ["AppointmentCreated"]
    assert await office.violations() == []


async def test_a_repeated_booking_says_what_it_said(office: Any) -> None:
    """ETag and read token as well, though the appointment has changed since."""
    body = asked(office, await office.calendar())
    first = await post(office, "mine", body)
    await office.change(first.body["id"], title="Other")
    again = await post(office, "mine", body)
    assert again.content == first.content
    for name in ("ETag", "X-Read-Token"):
        assert again.headers[name] == first.headers[name]


async def test_many_keys_race_for_one_slot(office: Any) -> None:
    """One gets it. The others are refused, and their keys are free for another time."""
    calendar = await office.calendar()
    keys = [new_id() for _ in range(8)]
    body = asked(office, calendar)
    responses = await asyncio.gather(*(post(office, key, body) for key in keys))
    assert Counter(response.status for response in responses) == {200: 1, 400: 7}
    loser = next(key for key, fields in zip(keys, responses, strict=True) if fields.status == 400)
    assert (await post(office, loser, asked(office, calendar, 60))).status == 200
    assert await booked(office) == 2
    assert await office.violations() == []


async def test_keys_race_for_crossing_teams(office: Any) -> None:
    """Bookings that hold their locks to the end, of calendars that share people: none is a 5xx."""
    ada, eve = office.tenant.user_ids
    calendars = [
        await office.calendar(
            calendarType="collective",
            teamMembers=[{"userId": u, "isPrimary": u == team[0]} for u in team],
        )
        for team in ((ada, eve), (eve, ada))
    ]
    bodies = [asked(office, calendars[n % 2], 30 * (n // 2)) for n in range(16)]
    responses = await asyncio.gather(*(post(office, new_id(), body) for body in bodies))
    assert Counter(response.status for response in responses) == {200: 8, 400: 8}
    assert await office.violations() == []


async def test_a_calendar_is_deleted_once(office: Any) -> None:
    """With all that is booked on it, in the one transaction."""
    calendar = await office.calendar()
    booking = (await office.book(calendar)).body["id"]
    responses = [
        await office.request("DELETE", f"/calendars/{calendar}", headers={HEADER: "mine"})
        for _ in range(2)
    ]
    assert [response.status for response in responses] == [200, 200]
    assert responses[1].headers[REPLAYED] == "true"
    kinds = [kind for kind, _ in await office.announced(booking)]
    assert kinds == ["AppointmentCreated", "AppointmentDeleted"]
