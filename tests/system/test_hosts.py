"""Hosts who change and hosts who leave, through all services."""

from datetime import datetime, timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.system


async def test_an_appointment_is_given_to_a_colleague(
    desk: Any, day: datetime, eventually: Any
) -> None:
    """A link of the new host, the old meeting is gone; both hosts and the contact are told."""
    old, new = await desk.user(), await desk.user()
    calendar = await _team(desk, old, new)
    mine = (await desk.book(calendar, day, assignedUserId=old)).body["id"]
    first = await eventually(lambda: _link(desk, mine))
    assert len(await eventually(lambda: _mails(desk, mine, 2))) == 2
    changed = await desk.change(mine, assignedUserId=new)
    assert (changed.status, changed.body["assignedUserId"]) == (200, new)
    second = await eventually(lambda: _link(desk, mine, other_than=first))
    assert second != first
    await eventually(lambda: _no_meetings(desk, old))
    mails = await eventually(lambda: _mails(desk, mine, 5))
    receivers = sorted(mail["to"][0] for mail in mails)
    assert len(set(receivers)) == 3
    assert {receivers.count(one) for one in set(receivers)} == {1, 2}


async def test_a_user_is_deleted(desk: Any, day: datetime, eventually: Any) -> None:
    """Offered and booked no more, in both services; what is left is listed and given to a colleague."""
    gone, stays = await desk.user(), await desk.user()
    own = await desk.calendar(gone)
    team = await _team(desk, gone, stays)
    mine = (await desk.book(team, day, assignedUserId=gone)).body["id"]
    await eventually(lambda: _link(desk, mine))
    assert (await desk.ask("DELETE", f"/users/{gone}")).status == 200

    await eventually(lambda: _nothing_offered(desk, own, day))
    refused = await desk.book(own, day + timedelta(hours=1))
    assert (refused.status, refused.body["code"]) == (400, "no_host")
    hosts = [
        (await desk.book(team, day + timedelta(hours=hour))).body["assignedUserId"]
        for hour in (1, 2, 3)
    ]
    assert hosts == [stays] * 3
    await eventually(lambda: _needs_host(desk, mine, day))

    moved = await desk.ask("POST", f"/users/{gone}/reassign", {})
    outcomes = {one["id"]: one["assignedUserId"] for one in moved.body["appointments"]}
    assert (moved.status, outcomes) == (200, {mine: stays})
    await eventually(lambda: _meeting_of(desk, stays))
    assert not await _needs_host(desk, mine, day)


async def _team(desk: Any, *users: str) -> str:
    zoom = [{"kind": "zoom_conference"}]
    members = [{"userId": user, "locationConfigurations": zoom} for user in users]
    created: str = await desk.calendar(users[0], calendarType="round_robin", teamMembers=members)
    return created


async def _link(desk: Any, mine: str, *, other_than: str | None = None) -> str | None:
    url: str | None = (await desk.shown(mine))["meeting"]["joinUrl"]
    return None if url == other_than else url


async def _mails(desk: Any, mine: str, number: int) -> list[Any]:
    found = [mail for mail in await desk.system.mails() if mine in mail["raw"]]
    return found if len(found) == number else []


async def _meeting_of(desk: Any, user: str) -> bool:
    state = await desk.system.simulator("zoom", "state")
    return bool([meeting for meeting in state["meetings"] if user in str(meeting)])


async def _no_meetings(desk: Any, user: str) -> bool:
    return not await _meeting_of(desk, user)


async def _nothing_offered(desk: Any, calendar: str, day: datetime) -> bool:
    return not await desk.free(calendar, day)


async def _needs_host(desk: Any, mine: str, day: datetime) -> bool:
    query = {
        "locationId": desk.facts["location_id"],
        "startTime": day.isoformat(),
        "endTime": (day + timedelta(days=1)).isoformat(),
        "needsHost": "true",
    }
    answer = await desk.ask("GET", "/calendars/events", query=query)
    return mine in [event["id"] for event in answer.body["events"]]
