"""What the product's documents promise, told on the running system, a test for each document.

What of them does not work yet is listed in docs/explanation/where-it-stands.md.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.system
HOUR = timedelta(hours=1)


async def _meeting(desk: Any, appointment: str, state: str = "ready") -> dict[str, Any] | None:
    """What the appointment shows of its meeting, once that is in this state."""
    meeting: dict[str, Any] = (await desk.shown(appointment))["meeting"]
    return meeting if meeting["state"] == state else None


async def _booked(desk: Any, calendar: str, start: datetime, **more: Any) -> str:
    answer = await desk.book(calendar, start, **more)
    assert answer.status == 200, answer.body
    return str(answer.body["id"])


async def _zoom_connection(desk: Any, user: str) -> dict[str, Any]:
    """The user's connection with Zoom, in the list of all integrations."""
    answer = await desk.ask("GET", "/integrations")
    connections = answer.body["integrations"]
    [found] = [
        each for each in connections if (each["provider"], each["ownerId"]) == ("zoom", user)
    ]
    return dict(found)


async def _meetings_at_zoom(desk: Any, user: str) -> int:
    """How many meetings the user has there."""
    state = await desk.system.simulator("zoom", "state")
    return sum(user in str(each) for each in state["meetings"])


async def test_the_guide_to_calendar_connections(desk: Any, day: datetime, eventually: Any) -> None:
    """Google both ways, a link for each booking and each occurrence, and connections that are managed."""
    user = await desk.user()
    calendar = await desk.calendar(user, google=True)
    start = day + 15 * HOUR

    # What is booked appears in Google, and what is added in Google takes its time.
    mine = await _booked(desk, calendar, start)
    google = desk.system.simulator
    await eventually(lambda: _in_google(desk, mine))
    dentist = {
        "summary": "Dentist",
        "start": {"dateTime": (start + HOUR).isoformat()},
        "end": {"dateTime": (start + 2 * HOUR).isoformat()},
    }
    person = f"{user}@google.example.com"
    await google("google", "events", {"user": person, "event": dentist})
    await eventually(lambda: _refused(desk, calendar, start + HOUR))

    # Each appointment has a link of its own, and so has each occurrence of a series.
    other = await _booked(desk, calendar, start + 3 * HOUR)
    series = await desk.book(calendar, start + 5 * HOUR, rrule="FREQ=HOURLY;COUNT=2")
    assert series.status == 422, "hours are finer than a calendar goes"
    series = await desk.book(calendar, start + 5 * HOUR, rrule="FREQ=DAILY;COUNT=3")
    occurrences = [each["id"] for each in series.body["occurrences"]]
    links = [
        (await eventually(lambda each=each: _meeting(desk, each)))["joinUrl"]
        for each in (mine, other, *occurrences)
    ]
    assert len({*links}) == 5

    # One Google account for a calendar at a time; its status is seen, and it is disconnected.
    shown = await desk.ask("GET", f"/calendars/{calendar}/connections")
    [connection] = [each for each in shown.body["connections"] if each["provider"] == "google"]
    assert connection["status"] == "active"
    path = f"/integrations/google/{connection['id']}"
    assert (await desk.ask("DELETE", path)).status == 200
    await eventually(lambda: _is_google_gone(desk, calendar))


async def _is_google_gone(desk: Any, calendar: str) -> bool:
    shown = await desk.ask("GET", f"/calendars/{calendar}/connections")
    google = [each for each in shown.body["connections"] if each["provider"] == "google"]
    return all(each["status"] == "disconnected" for each in google)


async def _in_google(desk: Any, appointment: str) -> bool:
    state = await desk.system.simulator("google", "state")
    return any(event["id"].startswith(appointment) for event in state["events"])


async def _refused(desk: Any, calendar: str, start: datetime) -> bool:
    """Whether the time is taken; an appointment that was booked after all is given back."""
    answer = await desk.book(calendar, start)
    if answer.status == 200:
        await desk.change(answer.body["id"], appointmentStatus="cancelled")
    return bool(answer.status == 400 and answer.body["code"] == "slot_unavailable")


async def test_the_reference_of_the_calendars_api(desk: Any, day: datetime) -> None:
    """A bearer token, a version, four scopes; and what the quick start asks for."""
    user = await desk.user(zoom=False)
    calendar = await desk.calendar(user, zoom=False)
    body = {"scopes": ["calendars.readonly"]}
    created = await desk.ask("POST", "/api-keys", body)
    key = {"Authorization": f"Bearer {created.body['apiKey']['key']}"}
    query = {"locationId": desk.facts["location_id"]}

    async def allowed() -> bool:
        return (await desk.ask("GET", "/calendars/", query=query, headers=key)).status == 200

    for _ in range(100):
        if await allowed():
            break
        await asyncio.sleep(0.1)
    assert await allowed()
    put = await desk.ask("PUT", f"/calendars/{calendar}", {"name": "New"}, headers=key)
    assert (put.status, put.body["code"]) == (403, "scope_missing")
    without = await desk.ask("GET", "/calendars/", query=query, headers={"Authorization": ""})
    assert without.status == 401
    assert await desk.free(calendar, day)


async def test_the_frequent_questions(desk: Any) -> None:
    """Ten requests a second, a hundred a minute, ten thousand a day; every response says what is left."""
    async with desk.system.client("limited_api_key") as ask:
        answer = await ask("GET", "/calendars/", query={"locationId": desk.facts["location_id"]})

    assert answer.headers["X-RateLimit-Limit-Daily"] == "10000"
    assert answer.headers["X-RateLimit-Max"] in ("10", "100")
    assert {"X-RateLimit-Remaining", "X-RateLimit-Daily-Remaining"} <= answer.headers.keys()


async def test_the_guide_to_zoom_and_calendars(desk: Any, day: datetime, eventually: Any) -> None:
    """What becomes of a link when its meeting is edited, moved, shared and cancelled."""
    user = await desk.user()
    calendar = await desk.calendar(user, calendarType="class_booking", appoinmentPerSlot=10)
    start, later = day + 15 * HOUR, day + 18 * HOUR
    contacts = desk.facts["contact_ids"][:2]
    one, two = [await _booked(desk, calendar, start, contactId=contact) for contact in contacts]
    third = await _booked(desk, calendar, later, contactId=contacts[1])
    link = (await eventually(lambda: _meeting(desk, one)))["joinUrl"]
    late = (await eventually(lambda: _meeting(desk, third)))["joinUrl"]

    # Several in one slot have one link; an edit that leaves the time keeps it.
    assert (await eventually(lambda: _meeting(desk, two)))["joinUrl"] == link != late
    assert (await desk.change(one, title="Another title")).status == 200
    assert (await desk.shown(one))["meeting"]["joinUrl"] == link

    # Moved to a time where another one is: its link; moved to a time of its own: a new one.
    assert (await desk.change(one, startTime=later.isoformat())).status == 200
    await eventually(lambda: _has_link(desk, one, late))
    assert (await desk.change(one, startTime=(later + HOUR).isoformat())).status == 200
    await eventually(lambda: _has_new_link(desk, one, {link, late}))

    # Cancelled: its link is gone, unless another one at the same time uses it.
    again = await _booked(desk, calendar, start)
    await eventually(lambda: _has_link(desk, again, link))
    assert (await desk.change(again, appointmentStatus="cancelled")).status == 200
    await eventually(lambda: _meeting(desk, again, "none"))
    assert (await desk.shown(two))["meeting"]["joinUrl"] == link


async def _has_link(desk: Any, appointment: str, link: str) -> bool:
    return bool((await desk.shown(appointment))["meeting"]["joinUrl"] == link)


async def _has_new_link(desk: Any, appointment: str, old: set[str]) -> bool:
    link = (await desk.shown(appointment))["meeting"]["joinUrl"]
    return link is not None and link not in old


async def test_the_guide_to_adding_and_removing_zoom(
    desk: Any, day: datetime, eventually: Any
) -> None:
    """Removed, Zoom makes no new links; meetings that exist stay there, and their links are history."""
    user = await desk.user()
    calendar = await desk.calendar(user)
    kept = await _booked(desk, calendar, day + 15 * HOUR)
    link = (await eventually(lambda: _meeting(desk, kept)))["joinUrl"]
    zoom = await _zoom_connection(desk, user)
    assert zoom["status"] == "active"

    assert (await desk.ask("DELETE", f"/integrations/zoom/{zoom['id']}")).status == 200

    shown = await eventually(lambda: _meeting(desk, kept, "detached"))
    assert shown["joinUrl"] == link
    assert await _meetings_at_zoom(desk, user) == 1
    new = await _booked(desk, calendar, day + 16 * HOUR)
    blocked = await eventually(lambda: _meeting(desk, new, "blocked"))
    assert (blocked["reason"], blocked["joinUrl"]) == ("connect_zoom", None)
