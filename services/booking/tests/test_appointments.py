"""The life of an appointment, as a client of the API and as subscribers see it."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from hoop_events.booking import Meeting
from hoop_events.effects import MeetingLink, MeetingLinkChanged
from hoop_platform.ids import new_id
from local.testing.events import publish


async def test_booked_moved_and_cancelled(office: Any) -> None:
    """One appointment, one event for each change, in order, each with the whole state."""
    calendar = await office.calendar()
    booked = await office.book(calendar)
    assert booked.status == 200, booked.body
    assert booked.body["startTime"] == "2027-03-01T09:00:00-05:00"
    assert booked.body["endTime"] == "2027-03-01T09:30:00-05:00"
    assert booked.body["title"] == "Carl Contact"
    assert booked.body["appointmentStatus"] == "confirmed"
    mine = booked.body["id"]

    moved = await office.change(mine, startTime="2027-03-01T15:00:00Z")
    assert (moved.status, moved.body["startTime"]) == (200, "2027-03-01T10:00:00-05:00")
    cancelled = await office.change(mine, appointmentStatus="cancelled")
    assert (cancelled.status, cancelled.body["version"]) == (200, 3)

    events = await office.announced(mine)
    kinds = ["AppointmentCreated", "AppointmentRescheduled", "AppointmentDeleted"]
    assert [kind for kind, _ in events] == kinds
    assert [event["state"]["sequence"] for _, event in events] == [1, 2, 3]
    first, second, third = (event["state"] for _, event in events)
    assert first["session"] != second["session"]
    assert [first["timeRevision"], second["timeRevision"]] == [1, 2]
    assert (third["occupies"], events[2][1]["change"]["reason"]) == (False, "cancelled")


async def test_a_slot_is_given_once(office: Any) -> None:
    """Fifty requests for one slot at once: one succeeds, all others are refused, one event is announced."""
    calendar = await office.calendar()
    responses = await asyncio.gather(*(office.book(calendar) for _ in range(50)))
    assert Counter(response.status for response in responses) == {200: 1, 400: 49}
    refused = next(response for response in responses if response.status == 400)
    assert refused.body["code"] == "slot_unavailable"
    assert refused.body["message"] == "The slot you have selected is no longer available."
    assert (
        await office.runtime.db.fetchval(
            "SELECT count(*) FROM announced WHERE topic = 'appointments'"
        )
        == 1
    )


async def test_a_class_is_filled_to_its_last_seat(office: Any) -> None:
    """Fifty ask for a class of ten: ten get a seat, all in one session."""
    calendar = await office.calendar(calendarType="class_booking", appoinmentPerSlot=10)
    contacts = await office.contacts(50)
    responses = await asyncio.gather(
        *(office.book(calendar, contactId=contact) for contact in contacts)
    )
    assert Counter(response.status for response in responses) == {200: 10, 400: 40}
    sessions = await office.runtime.db.fetch("SELECT DISTINCT session_id FROM appointment")
    assert len(sessions) == 1


async def test_a_host_is_never_booked_twice_at_a_time(office: Any) -> None:
    """Overlapping starts on two calendars of one host, with buffers: never two at once."""
    settings = {"slotInterval": 15, "preBuffer": 10, "slotBuffer": 20}
    one, other = await office.calendar(**settings), await office.calendar(**settings)
    asked = [
        office.book(calendar, minutes) for minutes in range(0, 240, 15) for calendar in (one, other)
    ]
    responses = await asyncio.gather(*asked)
    assert {response.status for response in responses} == {200, 400}
    clashes = await office.runtime.db.fetchval(
        """
        SELECT count(*) FROM appointment a JOIN appointment b ON a.id < b.id
         WHERE a.starts < b.ends + '20 minutes'::interval
           AND b.starts < a.ends + '20 minutes'::interval
        """
    )
    assert clashes == 0


async def test_an_edit_keeps_the_seat(office: Any) -> None:
    """A new title is an update; the same title again is nothing at all."""
    calendar = await office.calendar()
    mine = (await office.book(calendar)).body["id"]
    edited = await office.change(mine, title="Second opinion")
    assert (edited.status, edited.body["title"]) == (200, "Second opinion")
    again = await office.change(mine, title="Second opinion")
    assert again.body["version"] == edited.body["version"]
    events = await office.announced(mine)
    assert [kind for kind, _ in events] == ["AppointmentCreated", "AppointmentUpdated"]
    assert events[1][1]["change"]["fields"] == ["personal"]


async def test_a_cancelled_appointment_comes_back_only_if_its_time_is_free(office: Any) -> None:
    """Confirmed again it is created again; when the slot is taken by then, it stays cancelled."""
    calendar = await office.calendar()
    mine = (await office.book(calendar)).body["id"]
    await office.change(mine, appointmentStatus="cancelled")
    back = await office.change(mine, appointmentStatus="confirmed")
    assert back.status == 200
    await office.change(mine, appointmentStatus="cancelled")
    assert (await office.book(calendar)).status == 200
    lost = await office.change(mine, appointmentStatus="confirmed")
    assert (lost.status, lost.body["code"]) == (400, "slot_unavailable")
    kinds = [kind for kind, _ in await office.announced(mine)]
    assert kinds == ["AppointmentCreated", "AppointmentDeleted"] * 2


async def test_moving_what_is_over_is_a_conflict(office: Any) -> None:
    calendar = await office.calendar()
    mine = (await office.book(calendar)).body["id"]
    await office.change(mine, appointmentStatus="showed")
    response = await office.change(mine, startTime="2027-03-01T16:00:00Z")
    assert (response.status, response.body["code"]) == (409, "state_conflict")


async def test_the_end_moves_and_the_session_stays(office: Any) -> None:
    """A longer appointment keeps its session, and so its link; the host is busy for longer."""
    calendar = await office.calendar()
    mine = (await office.book(calendar)).body["id"]
    longer = await office.change(
        mine, endTime="2027-03-01T15:00:00Z", ignoreFreeSlotValidation=True
    )
    assert longer.status == 200, longer.body
    states = [event["state"] for _, event in await office.announced(mine)]
    assert states[0]["session"] == states[1]["session"]
    assert (await office.book(calendar, 30)).status == 400
    assert (await office.book(calendar, 60)).status == 200


async def test_deleting_twice_answers_twice_the_same(office: Any) -> None:
    calendar = await office.calendar()
    mine = (await office.book(calendar)).body["id"]
    responses = [await office.request("DELETE", f"/calendars/events/{mine}") for _ in range(2)]
    assert [(a.status, a.content) for a in responses] == [(201, {"succeeded": True})] * 2
    assert (await office.request("GET", f"/calendars/events/appointments/{mine}")).status == 404
    assert (await office.book(calendar)).status == 200


async def test_a_link_arrives_and_a_late_one_of_a_left_session_does_not_show(office: Any) -> None:
    """The link of the present session is shown; the link of the session that was left is dropped."""
    calendar = await office.calendar()
    mine = (await office.book(calendar, meetingLocationType="zoom")).body["id"]
    left = (await office.announced(mine))[0][1]["state"]["session"]
    await office.change(mine, startTime="2027-03-01T15:00:00Z")
    entered = (await office.announced(mine))[1][1]["state"]["session"]

    def link(session: str, url: str) -> MeetingLinkChanged:
        meeting = Meeting(provider="zoom", state="ready", join_url=url)
        state = MeetingLink(
            id=f"{session}.zoom", sequence=1, session=session, provider="zoom", meeting=meeting
        )
        return MeetingLinkChanged(account_id=office.tenant.account_id, state=state)

    await publish(
        office.kafka, link(left, "https://zoom.us/j/old"), link(entered, "https://zoom.us/j/new")
    )

    async def shown() -> Any:
        response = await office.request("GET", f"/calendars/events/appointments/{mine}")
        return response.body["event"]["meeting"]

    async with asyncio.timeout(10):
        while (await shown())["state"] != "ready":
            await asyncio.sleep(0.02)
    assert (await shown())["joinUrl"] == "https://zoom.us/j/new"
    events = await office.announced(mine)
    assert events[-1][0] == "AppointmentUpdated"
    assert events[-1][1]["state"]["version"] == 2


@pytest.mark.parametrize(
    "path", ["/calendars/{}", "/calendars/events/appointments/{}", "/calendars/{}/connections"]
)
async def test_unknown_is_unknown(office: Any, path: str) -> None:
    response = await office.request("GET", path.format(new_id()))
    assert (response.status, response.body["code"]) == (404, "not_found")
