"""Rooms are taken like people; equipment is counted; neither is ever promised twice."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from booking.handlers.resources import change_resource, delete_resource
from booking.store.projections import upsert_user
from hoop_platform.errors import Invalid, NotFound
from hoop_platform.ids import new_id


async def test_a_room_is_taken_with_the_host_and_given_back(office: Any) -> None:
    """The lowest free room goes to the appointment; when all are taken, the time is refused."""
    hosts = [{"userId": user} for user in office.tenant.user_ids[:2]]
    one = await office.calendar(teamMembers=hosts[:1])
    other = await office.calendar(teamMembers=hosts[1:])
    room = await office.resource("rooms", one, other)

    mine = (await office.book(one)).body["id"]
    state = (await office.announced(mine))[0][1]["state"]
    assert state["resources"] == [room.id]
    assert state["versions"].keys() == {one, hosts[0]["userId"], room.id}

    refused = await office.book(other)
    assert (refused.status, refused.body["reason"]) == (400, "no_resource")
    await office.change(mine, appointmentStatus="cancelled")
    assert (await office.book(other)).status == 200
    assert await office.violations() == []


async def test_fifty_want_one_room_from_several_calendars(office: Any) -> None:
    """Calendars with hosts of their own share a room: one appointment, forty-nine refusals."""
    calendars = [await office.calendar(teamMembers=[], calendarType="event") for _ in range(5)]
    await office.resource("rooms", *calendars)
    responses = await asyncio.gather(*(office.book(calendars[n % 5]) for n in range(50)))
    assert Counter(response.status for response in responses) == {200: 1, 400: 49}
    assert await office.violations() == []


async def test_fifty_want_equipment_of_three_units(office: Any) -> None:
    """Six hosts are free, three units work: three get the time, whatever the hosts could do."""
    people = [new_id() for _ in range(6)]
    for person in people:
        await upsert_user(office.runtime.db, office.tenant.account_id, person, "Somebody")
    calendar = await office.calendar(
        calendarType="service_booking", teamMembers=[{"userId": person} for person in people]
    )
    await office.resource("equipments", calendar, quantity=4, out_of_service=1)
    responses = await asyncio.gather(*(office.book(calendar) for _ in range(50)))
    assert Counter(response.status for response in responses) == {200: 3, 400: 47}
    assert await office.violations() == []


async def test_what_is_booked_keeps_its_units_when_some_break(office: Any) -> None:
    """Fewer units than are booked: appointments stay, new ones are refused."""
    users = office.tenant.user_ids
    members = [{"userId": user} for user in users[:2]]
    calendar = await office.calendar(calendarType="service_booking", teamMembers=members)
    beamer = await office.resource("equipments", calendar, quantity=2)
    assert [(await office.book(calendar)).status for _ in range(2)] == [200, 200]

    changed = await office.run(change_resource, beamer.id, {"out_of_service": 2})
    assert (changed.version, changed.sequence) == (2, 2)
    refused = await office.book(calendar, 60)
    assert (refused.status, refused.body["reason"]) == (400, "no_resource")
    assert await office.violations() == []

    await office.run(delete_resource, beamer.id)
    assert (await office.book(calendar, 60)).status == 200
    kinds = [kind for kind, _ in await office.announced(beamer.id)]
    assert kinds == ["ResourceChanged", "ResourceChanged", "ResourceDeleted"]


async def test_a_room_holds_so_many_people(office: Any) -> None:
    """A class of five in a room for two: the third is refused; in a larger room, all five fit."""
    calendar = await office.calendar(calendarType="class_booking", appoinmentPerSlot=5)
    small = await office.resource("rooms", calendar, capacity=2)
    contacts = await office.contacts(6)
    statuses = [(await office.book(calendar, contactId=one)).status for one in contacts[:3]]
    assert statuses == [200, 200, 400]

    large = await office.resource("rooms", calendar, capacity=5)
    booked = [await office.book(calendar, 60, contactId=one) for one in contacts]
    assert [one.status for one in booked] == [200] * 5 + [400]
    assert booked[0].body["assignedResources"] == [large.id]
    await office.run(change_resource, small.id, {"capacity": 9})
    await office.run(change_resource, large.id, {"capacity": 1})
    assert (await office.book(calendar, 120)).body["assignedResources"] == [small.id]
    assert await office.violations() == []


async def test_a_longer_appointment_keeps_its_session_and_needs_the_room_for_longer(
    office: Any,
) -> None:
    """The end moves within the session; who wants the room in the added time is refused."""
    one, other = [await office.calendar(teamMembers=[], calendarType="event") for _ in range(2)]
    await office.resource("rooms", one, other)
    mine = (await office.book(one)).body["id"]
    longer = await office.change(
        mine, endTime="2027-03-01T15:00:00Z", ignoreFreeSlotValidation=True
    )
    assert longer.status == 200, longer.body
    sessions = {event["state"]["session"] for _, event in await office.announced(mine)}
    assert len(sessions) == 1
    assert [(await office.book(other, minutes)).status for minutes in (30, 60)] == [400, 200]
    assert await office.violations() == []


async def test_equipment_belongs_to_one_service_calendar(office: Any) -> None:
    """On a calendar of another type, or on two, it is refused; an unknown calendar is unknown."""
    personal = await office.calendar()
    with pytest.raises(Invalid) as refused:
        await office.resource("equipments", personal)
    assert refused.value.details[0].code == "calendar_type"
    with pytest.raises(Invalid) as refused:
        await office.resource("equipments", personal, await office.calendar())
    assert refused.value.details[0].code == "one_calendar"
    with pytest.raises(NotFound):
        await office.resource("rooms", new_id())
