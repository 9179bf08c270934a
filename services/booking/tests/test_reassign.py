"""An appointment is given to another host at the same time, or with a new one."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from booking.domain.commands import AppointmentPatch
from booking.handlers.appointments import change_appointment
from booking.store.projections import upsert_user
from hoop_events.booking import Meeting
from hoop_events.effects import MeetingLink, MeetingLinkChanged
from hoop_platform.errors import SlotUnavailable
from hoop_platform.ids import new_id, row_id
from local.testing.events import publish

HALF_PAST = "2027-03-01T09:30:00-05:00"


@pytest.fixture
async def team(office: Any) -> list[str]:
    """Three users of the account, in the order of their ids."""
    users = sorted(new_id() for _ in range(3))
    for user in users:
        await upsert_user(office.runtime.db, office.tenant.account_id, user, "Somebody")
    return users


async def calendar_of(office: Any, *users: str, **settings: Any) -> str:
    settings = {"calendarType": "round_robin", "allowSameContact": True, **settings}
    members = [{"userId": user} for user in users]
    created: str = await office.calendar(teamMembers=members, **settings)
    return created


def refused(response: Any) -> tuple[int, str, list[str] | None]:
    """Status, and code and allowed values of the one detail, which names the host."""
    [detail] = response.body["details"]
    assert detail["path"] == "assignedUserId"
    return response.status, detail["code"], detail.get("allowed")


async def test_another_host_alone(office: Any, team: list[str]) -> None:
    """Rescheduled, in a session of the new host; the time of the old one is free, and his is taken."""
    old, new, _ = team
    calendar = await calendar_of(office, *team)
    mine = (await office.book(calendar, assignedUserId=old)).body
    changed = await office.change(mine["id"], assignedUserId=new)
    assert (changed.status, changed.body["assignedUserId"]) == (200, new)
    assert changed.body["startTime"] == mine["startTime"]
    assert changed.body["version"] == mine["version"] + 1

    (_, booked), (kind, moved) = await office.announced(mine["id"])
    assert kind == "AppointmentRescheduled"
    assert moved["change"]["fields"] == ["assignedUserId", "session", "timeRevision", "hosts"]
    assert moved["change"]["previous"]["hosts"] == booked["state"]["hosts"] == [old]
    assert moved["state"]["hosts"] == [new]
    assert moved["state"]["timeRevision"] == 2
    assert (await office.book(calendar, assignedUserId=old)).status == 200
    assert (await office.book(calendar, assignedUserId=new)).status == 400
    assert await office.violations() == []


async def test_the_link_is_left_behind(office: Any, team: list[str]) -> None:
    """The old host's link belongs to the old session: the appointment waits for one of the new host."""
    old, new, _ = team
    calendar = await calendar_of(office, old, new)
    booked = await office.book(calendar, assignedUserId=old, meetingLocationType="zoom")
    mine = booked.body["id"]
    session = (await office.announced(mine))[0][1]["state"]["session"]
    ready = Meeting(provider="zoom", state="ready", join_url="https://zoom.example/1")
    link = MeetingLink(
        id=f"{session}.zoom", sequence=1, session=session, provider="zoom", meeting=ready
    )
    await publish(office.kafka, MeetingLinkChanged(account_id=office.tenant.account_id, state=link))
    while not await office.runtime.catch_up():
        pass
    assert (await office.change(mine, title="Same")).body["meeting"]["joinUrl"] is not None
    changed = (await office.change(mine, assignedUserId=new)).body["meeting"]
    assert (changed["provider"], changed["state"], changed["joinUrl"]) == ("zoom", "pending", None)


async def test_the_same_host_changes_nothing(office: Any, team: list[str]) -> None:
    calendar = await calendar_of(office, *team)
    mine = (await office.book(calendar)).body
    again = await office.change(mine["id"], assignedUserId=mine["assignedUserId"])
    assert (again.status, again.body["version"]) == (200, mine["version"])
    assert len(await office.announced(mine["id"])) == 1


async def test_a_host_who_is_busy_is_refused_with_those_who_are_free(
    office: Any, team: list[str]
) -> None:
    """400; the present host is none of those to choose from. A stranger is 422, as anywhere."""
    old, busy, free = team
    calendar = await calendar_of(office, *team)
    mine = (await office.book(calendar, assignedUserId=old)).body["id"]
    elsewhere = await calendar_of(office, busy)
    assert (await office.book(elsewhere)).status == 200
    taken = await office.change(mine, assignedUserId=busy)
    assert taken.body["code"] == "slot_unavailable"
    assert refused(taken) == (400, "not_free", [free])
    await office.block(0, 30, user_id=free)
    assert refused(await office.change(mine, assignedUserId=busy)) == (400, "not_free", [])
    stranger = office.tenant.user_ids[0]
    assert refused(await office.change(mine, assignedUserId=stranger))[:2] == (422, "not_a_member")
    assert len(await office.announced(mine)) == 1


async def test_with_a_new_time(office: Any, team: list[str]) -> None:
    """The free ones are those of the new time, the present host among them."""
    old, new, other = team
    calendar = await calendar_of(office, *team)
    mine = (await office.book(calendar, assignedUserId=old)).body["id"]
    assert (await office.book(calendar, 30, assignedUserId=new)).status == 200
    taken = await office.change(mine, startTime=HALF_PAST, assignedUserId=new)
    assert refused(taken) == (400, "not_free", [old, other])
    moved = await office.change(mine, startTime=HALF_PAST, assignedUserId=other)
    assert (moved.body["assignedUserId"], moved.body["startTime"]) == (other, HALF_PAST)
    assert await office.violations() == []


async def test_a_new_booking_learns_who_is_free(office: Any, team: list[str]) -> None:
    calendar = await calendar_of(office, *team)
    assert (await office.book(calendar, assignedUserId=team[0])).status == 200
    taken = await office.book(calendar, assignedUserId=team[0])
    assert refused(taken) == (400, "not_free", team[1:])
    assert len(taken.body["alternatives"]) == 5


async def test_notice_is_no_obstacle_to_another_host(office: Any, team: list[str]) -> None:
    """The time was chosen long ago; a new one needs the notice, and what is over stays as it is."""
    calendar = await calendar_of(office, *team, allowBookingAfter=24)
    mine = (await office.book(calendar, assignedUserId=team[0])).body["id"]
    account, db = office.tenant.account_id, office.runtime.db
    hosted = (await office.announced(mine))[0][1]["state"]
    start = datetime.fromisoformat(hosted["startTime"])
    late, over = start - timedelta(hours=1), start + timedelta(minutes=30)
    patch = AppointmentPatch(host=team[1])
    with pytest.raises(SlotUnavailable):
        await change_appointment(db, account, mine, patch, now=over)
    changed = await change_appointment(db, account, mine, patch, now=late)
    assert changed.hosts == (team[1],)
    moved = AppointmentPatch(host=team[2], start=start + timedelta(minutes=30))
    with pytest.raises(SlotUnavailable):
        await change_appointment(db, account, mine, moved, now=late)


async def test_a_finished_appointment_keeps_its_host(office: Any, team: list[str]) -> None:
    calendar = await calendar_of(office, *team)
    for minutes, status in enumerate(("showed", "cancelled")):
        mine = (await office.book(calendar, 30 * minutes, assignedUserId=team[0])).body["id"]
        await office.change(mine, appointmentStatus=status)
        response = await office.change(mine, assignedUserId=team[1])
        assert (response.status, response.body["code"]) == (409, "state_conflict")


async def test_one_occurrence_of_a_series(office: Any, team: list[str]) -> None:
    """The others keep their host; with the id of the series, all of them change."""
    one, other, _ = team
    calendar = await calendar_of(office, one)
    booked = (await office.book(calendar, rrule="FREQ=DAILY;COUNT=3")).body
    both = [{"userId": one}, {"userId": other}]
    await office.request("PUT", f"/calendars/{calendar}", {"teamMembers": both})
    ids = [occurrence["id"] for occurrence in booked["occurrences"]]
    changed = await office.change(ids[1], assignedUserId=other)
    assert (changed.status, changed.body["id"]) == (200, ids[1])
    assert await hosts_of(office, ids) == [one, other, one]
    kinds = [[kind for kind, _ in await office.announced(row_id(each))] for each in ids]
    assert kinds[1] == ["AppointmentCreated", "AppointmentRescheduled"]
    assert kinds[0] == kinds[2] == ["AppointmentCreated"]
    assert (await office.change(booked["masterEventId"], assignedUserId=other)).status == 200
    assert await hosts_of(office, ids) == [other, other, other]
    assert await office.violations() == []


async def hosts_of(office: Any, ids: list[str]) -> list[str]:
    shown = [await office.request("GET", f"/calendars/events/appointments/{one}") for one in ids]
    return [one.body["event"]["assignedUserId"] for one in shown]


async def test_a_collective_has_all_its_members(office: Any, team: list[str]) -> None:
    """Nobody is chosen there, with a new time neither; the event carries all hosts."""
    members = [{"userId": user, "isPrimary": user == team[1]} for user in team]
    calendar = await office.calendar(calendarType="collective", teamMembers=members)
    mine = (await office.book(calendar)).body
    hosts = (await office.announced(mine["id"]))[0][1]["state"]["hosts"]
    assert (hosts[0], sorted(hosts)) == (team[1], team)
    assert mine["users"] == hosts[1:]
    for more in ({}, {"startTime": HALF_PAST}):
        response = await office.change(mine["id"], assignedUserId=team[0], **more)
        assert refused(response) == (422, "collective", None)
    same = await office.change(mine["id"], assignedUserId=team[1], title="As before")
    assert (same.status, same.body["title"]) == (200, "As before")


async def test_a_group_is_not_split(office: Any, team: list[str]) -> None:
    """One of several gets no host alone, but may join the session that another host holds."""
    one, other, third = team
    calendar = await calendar_of(office, *team, calendarType="class_booking", appoinmentPerSlot=2)
    mine, _ = [(await office.book(calendar, assignedUserId=one)).body["id"] for _ in range(2)]
    assert refused(await office.change(mine, assignedUserId=other)) == (422, "group_session", [])
    theirs = (await office.book(calendar, assignedUserId=other)).body["id"]
    response = await office.change(mine, assignedUserId=third)
    assert refused(response) == (422, "group_session", [other])
    joined = await office.change(mine, assignedUserId=other)
    assert joined.body["assignedUserId"] == other
    states = [(await office.announced(each))[-1][1]["state"] for each in (mine, theirs)]
    assert states[0]["session"] == states[1]["session"]
    moved = await office.change(theirs, assignedUserId=third, startTime=HALF_PAST)
    assert moved.body["assignedUserId"] == third
    assert await office.violations() == []


async def test_the_only_one_of_a_group_may_get_another_host(office: Any, team: list[str]) -> None:
    calendar = await calendar_of(office, *team, calendarType="class_booking", appoinmentPerSlot=2)
    mine = (await office.book(calendar, assignedUserId=team[0])).body["id"]
    changed = await office.change(mine, assignedUserId=team[1])
    assert changed.body["assignedUserId"] == team[1]
    assert await office.violations() == []
