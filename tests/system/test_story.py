"""The whole story: what a booking sets in motion, in every service, and what undoes it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.system


async def test_one_appointment_from_booking_to_cancellation(
    desk: Any, day: datetime, eventually: Any
) -> None:
    """Book → link, Google event, two mails, slot gone; move → all follow; cancel → all undone."""
    user = await desk.user()
    calendar = await desk.calendar(user, google=True)
    start, later = day + timedelta(hours=15), day + timedelta(hours=16)
    await eventually(lambda: _offered(desk, calendar, day, start))

    mine = (await desk.book(calendar, start)).body["id"]
    link = await eventually(lambda: _link(desk, mine))
    event = (await eventually(lambda: _events(desk, mine)))[0]
    assert _utc(event["start"]["dateTime"]) == start
    mails = await eventually(lambda: _mails(desk, mine, 2))
    assert all(link in mail["text"] for mail in mails)
    assert await eventually(lambda: _taken(desk, calendar, day, start))

    moved = await desk.change(mine, startTime=later.isoformat())
    assert moved.status == 200
    other = await eventually(lambda: _another_link(desk, mine, link))
    assert other != link
    await eventually(lambda: _event_at(desk, mine, later))
    await eventually(lambda: _mails(desk, mine, 4))
    await eventually(lambda: _offered(desk, calendar, day, start))
    await eventually(lambda: _taken(desk, calendar, day, later))

    assert (await desk.change(mine, appointmentStatus="cancelled")).status == 200
    await eventually(lambda: _nothing_left(desk, mine, user))
    mails = await eventually(lambda: _mails(desk, mine, 6))
    cancelled = [
        mail for mail in mails if "METHOD:CANCEL" in mail["raw"] or "method=CANCEL" in mail["raw"]
    ]
    assert len(cancelled) == 2
    await eventually(lambda: _offered(desk, calendar, day, later))


async def test_a_class_shares_its_link(desk: Any, day: datetime, eventually: Any) -> None:
    """Two in one session have one meeting; when one leaves it stays, when both have left it goes."""
    user = await desk.user()
    calendar = await desk.calendar(user, calendarType="class_booking", appoinmentPerSlot=10)
    start = day + timedelta(hours=15)
    contacts = desk.facts["contact_ids"][:2]
    one, two = [(await desk.book(calendar, start, contactId=c)).body["id"] for c in contacts]
    link = await eventually(lambda: _link(desk, one))
    assert await eventually(lambda: _link(desk, two)) == link
    await desk.change(one, appointmentStatus="cancelled")
    await eventually(lambda: _unlinked(desk, one))
    assert await _link(desk, two) == link
    await desk.change(two, appointmentStatus="cancelled")
    await eventually(lambda: _no_meetings(desk, user))


async def test_somebody_elses_google_event_takes_its_slot(
    desk: Any, day: datetime, eventually: Any
) -> None:
    """An event that its owner made in Google blocks the slot, for offering and for booking."""
    user = await desk.user(zoom=False)
    calendar = await desk.calendar(user, zoom=False, google=True)
    start = day + timedelta(hours=15)
    await eventually(lambda: _offered(desk, calendar, day, start))
    event = {
        "summary": "Dentist",
        "start": {"dateTime": start.isoformat()},
        "end": {"dateTime": (start + timedelta(minutes=30)).isoformat()},
    }
    person = f"{user}@google.example.com"
    await desk.system.simulator("google", "events", {"user": person, "event": event})
    await eventually(lambda: _taken(desk, calendar, day, start))
    answer = await desk.book(calendar, start + timedelta(minutes=10))
    assert (answer.status, answer.body["code"]) == (400, "slot_unavailable")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _spelled(moment: datetime) -> str:
    return moment.isoformat()


async def _offered(desk: Any, calendar: str, day: datetime, start: datetime) -> bool:
    return _spelled(start) in await desk.free(calendar, day)


async def _taken(desk: Any, calendar: str, day: datetime, start: datetime) -> bool:
    return not await _offered(desk, calendar, day, start)


async def _link(desk: Any, mine: str) -> str | None:
    url: str | None = (await desk.shown(mine))["meeting"]["joinUrl"]
    return url


async def _another_link(desk: Any, mine: str, link: str) -> str | None:
    found = await _link(desk, mine)
    return found if found != link else None


async def _unlinked(desk: Any, mine: str) -> bool:
    return await _link(desk, mine) is None


async def _events(desk: Any, mine: str) -> list[Any]:
    state = await desk.system.simulator("google", "state")
    return [event for event in state["events"] if event["id"].startswith(mine)]


async def _event_at(desk: Any, mine: str, start: datetime) -> bool:
    return [_utc(e["start"]["dateTime"]) for e in await _events(desk, mine)] == [start]


async def _mails(desk: Any, mine: str, number: int) -> list[Any]:
    found = [mail for mail in await desk.system.mails() if mine in mail["raw"]]
    return found if len(found) == number else []


async def _no_meetings(desk: Any, user: str) -> bool:
    state = await desk.system.simulator("zoom", "state")
    return not [m for m in state["meetings"] if user in str(m)]


async def _nothing_left(desk: Any, mine: str, user: str) -> bool:
    return not await _events(desk, mine) and await _no_meetings(desk, user)
