"""The sessions of a calendar: when, with whom, who attends, and where its meeting is opened."""

import asyncio
from datetime import timedelta
from typing import Any

from hoop_events.booking import Meeting
from hoop_events.effects import MeetingLink, MeetingLinkChanged
from hoop_platform.ids import new_id
from local.testing.events import publish

NOON, WEEK = "2027-03-01T00:00:00Z", "2027-03-08T00:00:00Z"


async def asked(office: Any, calendar: str, **fields: Any) -> Any:
    query = {"startTime": NOON, "endTime": WEEK, **fields}
    return await office.request("GET", f"/calendars/{calendar}/sessions", query=query)


async def listed(office: Any, calendar: str, **fields: Any) -> list[dict[str, Any]]:
    response = await asked(office, calendar, **fields)
    assert response.status == 200, response.body
    return list(response.body["sessions"])


async def a_class(office: Any, **settings: Any) -> str:
    fields = {"calendarType": "class_booking", "appoinmentPerSlot": 3, **settings}
    return str(await office.calendar(**fields))


async def test_a_class_with_its_attendees(office: Any) -> None:
    """Seats by their number; a hold takes a seat and attends nothing; who has left is not there."""
    calendar = await a_class(office)
    one, other = office.tenant.contact_ids
    first = (await office.book(calendar, contactId=one, title="Ada")).body["id"]
    gone = (await office.book(calendar, contactId=other)).body["id"]
    await office.hold(calendar)
    await office.change(gone, appointmentStatus="cancelled")
    [session] = await listed(office, calendar)
    assert session["startTime"] == "2027-03-01T09:00:00-05:00"
    assert session["endTime"] == "2027-03-01T09:30:00-05:00"
    assert (session["assignedUserId"], session["users"]) == (office.tenant.user_ids[0], [])
    assert session["seats"] == {"total": 3, "taken": 2, "left": 1}
    attendee = {"appointmentId": first, "contactId": one, "title": "Ada"}
    assert session["attendees"] == [{**attendee, "appointmentStatus": "confirmed"}]
    assert (session["meeting"]["state"], session["startLinkPath"]) == ("none", None)
    await office.change(first, appointmentStatus="cancelled")
    assert [len(one["attendees"]) for one in await listed(office, calendar)] == [0]


async def test_pages_of_sessions_in_order_of_start(office: Any) -> None:
    """Those that begin in the time; each once, whatever the page; occurrences by the ids clients know."""
    calendar = await a_class(office)
    for minutes in (60, 0):
        await office.book(calendar, minutes)
    series = await office.book(calendar, 30, rrule="FREQ=DAILY;COUNT=3")
    everything = await listed(office, calendar)
    starts = [one["startTime"][8:16] for one in everything]
    assert starts == ["01T09:00", "01T09:30", "01T10:00", "02T09:30", "03T09:30"]
    occurrences = [one["id"] for one in series.body["occurrences"]]
    named = [one["attendees"][0]["appointmentId"] for one in everything]
    assert [named[n] for n in (1, 3, 4)] == occurrences
    found, cursor = [], {}
    while cursor is not None:
        page = (await asked(office, calendar, limit="2", **cursor)).body
        found += page["sessions"]
        cursor = {"cursor": page["nextCursor"]} if "nextCursor" in page else None
    assert found == everything
    half_past = {"startTime": "2027-03-01T14:30:00Z", "endTime": "2027-03-01T15:00:00Z"}
    assert await listed(office, calendar, **half_past) == everything[1:2]


async def test_the_link_and_where_staff_open_it(office: Any) -> None:
    """Once the meeting is ready: its join link, and the path of its host's start link."""
    calendar = await a_class(office)
    mine = (await office.book(calendar, meetingLocationType="zoom")).body["id"]
    [session] = await listed(office, calendar)
    assert (session["meeting"]["state"], session["startLinkPath"]) == ("pending", None)
    meeting = Meeting(provider="zoom", state="ready", join_url="https://zoom.us/j/1")
    state = MeetingLink(
        id=f"{session['id']}.zoom",
        sequence=1,
        session=session["id"],
        provider="zoom",
        meeting=meeting,
    )
    event = MeetingLinkChanged(account_id=office.tenant.account_id, state=state)
    await publish(office.kafka, event)
    async with asyncio.timeout(10):
        while (await listed(office, calendar))[0]["meeting"]["state"] != "ready":
            await asyncio.sleep(0.02)
    [session] = await listed(office, calendar)
    assert session["meeting"]["joinUrl"] == "https://zoom.us/j/1"
    assert session["startLinkPath"] == f"/integrations/zoom/meetings/{mine}?startUrl=true"


async def test_sessions_that_cannot_be_asked_for(office: Any) -> None:
    """An unknown calendar 404; a time or a cursor that is none names the field."""
    calendar = await a_class(office)
    for unknown in (new_id(), "nonsense"):
        assert (await asked(office, unknown)).status == 404
    for fields, path in (
        ({"startTime": "yesterday"}, "startTime"),
        ({"endTime": NOON}, "endTime"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
    ):
        response = await asked(office, calendar, **fields)
        assert (response.status, [d["path"] for d in response.body["details"]]) == (422, [path])


async def test_a_host_alone_is_a_session_of_one_seat(office: Any) -> None:
    """Of a calendar without members, nobody is named; the longest appointment is its end."""
    calendar = await office.calendar(calendarType="event", teamMembers=[])
    late = (office.moment(0) + timedelta(hours=2)).isoformat()
    await office.book(calendar, endTime=late, ignoreFreeSlotValidation=True)
    [session] = await listed(office, calendar)
    assert (session["assignedUserId"], session["seats"]["total"]) == (None, 1)
    assert session["endTime"] == "2027-03-01T11:00:00-05:00"
