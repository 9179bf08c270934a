"""A user who was deleted: out of all teams, and what the user was to host is given to others."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from booking.domain.appointment_changes import change
from booking.domain.appointments import book
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.handlers.calendars import update_calendar
from booking.handlers.users import on_user_deleted
from booking.store.commit import commit_decision
from booking.store.projections import upsert_user
from booking.store.snapshot import SnapshotRequest, get_snapshot
from hoop_events.accounts import UserDeleted
from hoop_events.base import Gone
from hoop_platform.db.database import Database
from hoop_platform.errors import Invalid
from hoop_platform.ids import new_id
from local.testing.events import publish

MONDAY = datetime(2027, 3, 1, 14, 0, tzinfo=UTC)  # 09:00 in New York
NOW = datetime(2027, 2, 1, 12, tzinfo=UTC)
ROUNDS = 24
STEP = 0.0004  # seconds by which the deletion is later, more in each round


@pytest.fixture
async def team(office: Any) -> list[str]:
    """Three users of the account, in the order of their ids."""
    return [await user(office) for _ in range(3)]


async def user(office: Any) -> str:
    created = new_id()
    await upsert_user(office.runtime.db, office.tenant.account_id, created, "Somebody")
    return created


def deletion(office: Any, user_id: str) -> UserDeleted:
    return UserDeleted(account_id=office.tenant.account_id, state=Gone(id=user_id, sequence=1_000))


async def delete(office: Any, user_id: str) -> None:
    """The event of the deletion arrives."""
    await publish(office.kafka, deletion(office, user_id))
    async with asyncio.timeout(30):
        while not await office.runtime.catch_up():
            pass


async def calendar_of(office: Any, *users: str, **settings: Any) -> str:
    settings = {"calendarType": "round_robin", "allowSameContact": True, **settings}
    members = [{"userId": one} for one in users]
    created: str = await office.calendar(teamMembers=members, **settings)
    return created


async def booked(office: Any, calendar: str, minutes: int = 0, **fields: Any) -> str:
    response = await office.book(calendar, minutes, **fields)
    assert response.status == 200, response.body
    return str(response.body["id"])


async def shown(office: Any, appointment: str) -> Any:
    return (await office.request("GET", f"/calendars/events/appointments/{appointment}")).body[
        "event"
    ]


async def listed(office: Any, **fields: Any) -> list[str]:
    """The appointments of the location that need a host, of that Monday and Tuesday."""
    query = {
        "locationId": office.tenant.location_id,
        "startTime": MONDAY.isoformat(),
        "endTime": (MONDAY + timedelta(days=2)).isoformat(),
        "needsHost": "true",
        **fields,
    }
    response = await office.request("GET", "/calendars/events", query=query)
    assert response.status == 200, response.body
    return [event["id"] for event in response.body["events"]]


async def reassigned(office: Any, user_id: str, **body: Any) -> Any:
    response = await office.request("POST", f"/users/{user_id}/reassign", body)
    assert response.status == 200, response.body
    return response.body


async def test_nobody_is_booked_with_a_deleted_user(office: Any, team: list[str]) -> None:
    """The team goes on without the user; the calendar announces it, so that nothing else is offered."""
    gone, stays, _ = team
    calendar = await calendar_of(office, gone, stays)
    await delete(office, gone)
    hosts = [(await office.book(calendar, minutes)).body["assignedUserId"] for minutes in (0, 30)]
    assert hosts == [stays, stays]
    named = await office.book(calendar, 60, assignedUserId=gone)
    assert (named.status, named.body["details"][0]["allowed"]) == (422, [stays])
    read = (await office.request("GET", f"/calendars/{calendar}")).body["calendar"]
    assert [member["userId"] for member in read["teamMembers"]] == [stays]
    assert read["needsHost"] is False
    kind, event = (await office.announced(calendar))[-1]
    assert kind == "CalendarChanged"
    assert [m["userId"] for m in event["state"]["settings"]["teamMembers"]] == [stays]
    assert {calendar, stays} <= event["state"]["versions"].keys()


async def test_a_calendar_whose_only_member_is_gone(office: Any, team: list[str]) -> None:
    """It is not its own host, as one without members is: nobody is booked until there is a member."""
    gone, new, _ = team
    calendar = await calendar_of(office, gone, calendarType="event")
    await delete(office, gone)
    for body in ({}, {"appointmentStatus": "cancelled"}, {"rrule": "FREQ=DAILY;COUNT=2"}):
        refused = await office.book(calendar, **body)
        assert (refused.status, refused.body["code"]) == (400, "no_host"), refused.body
    held = await office.request(
        "POST", f"/calendars/{calendar}/holds", {"startTime": MONDAY.isoformat()}
    )
    assert (held.status, held.body["code"]) == (400, "no_host")
    for patch in ({"name": "Renamed"}, {"teamMembers": []}):
        kept = await office.request("PUT", f"/calendars/{calendar}", patch)
        assert (kept.status, kept.body["calendar"]["needsHost"]) == (200, True)
    team_of_one = {"teamMembers": [{"userId": new}]}
    helped = await office.request("PUT", f"/calendars/{calendar}", team_of_one)
    assert helped.body["calendar"]["needsHost"] is False
    assert (await office.book(calendar)).body["assignedUserId"] == new


async def test_a_deleted_user_joins_no_team(office: Any, team: list[str]) -> None:
    """Neither by a request, nor by one that was checked before the deletion and comes after it."""
    gone, stays, _ = team
    calendar = await calendar_of(office, stays)
    await delete(office, gone)
    members = {"teamMembers": [{"userId": stays}, {"userId": gone}]}
    response = await office.request("PUT", f"/calendars/{calendar}", members)
    assert (response.status, response.body["details"][0]["path"]) == (422, "teamMembers.1.userId")
    with pytest.raises(Invalid) as late:
        await office.run(update_calendar, calendar, members)
    assert [(d.path, d.code) for d in late.value.details] == [
        ("teamMembers.1.userId", "unknown_user")
    ]


async def test_upcoming_appointments_need_a_host(office: Any, team: list[str]) -> None:
    """Listed and announced; not what is cancelled, what others host, or what somebody cares for by now."""
    gone, other, _ = team
    calendar = await calendar_of(office, gone, other)
    one, two, cancelled = [
        await booked(office, calendar, minutes, assignedUserId=gone) for minutes in (0, 30, 60)
    ]
    await office.change(cancelled, appointmentStatus="cancelled")
    theirs = await booked(office, calendar, 0, assignedUserId=other)
    assert await listed(office) == []
    await delete(office, gone)

    assert await listed(office) == [one, two]
    assert await listed(office, calendarId=calendar, userId=gone) == [one, two]
    assert await listed(office, userId=other) == []
    assert await listed(office, calendarId=await calendar_of(office, other)) == []
    event = await shown(office, one)
    assert (event["needsHost"], event["assignedUserId"], event["version"]) == (True, gone, 1)
    assert (await shown(office, theirs))["needsHost"] is False
    kind, body = (await office.announced(one))[-1]
    assert (kind, body["state"]["needsHost"], body["state"]["hosts"]) == (
        "AppointmentUpdated",
        True,
        [gone],
    )
    assert body["change"]["fields"] == ["needsHost"]
    assert body["change"]["reason"] == "user_deleted"


async def test_it_is_cared_for_once_it_has_a_host_or_is_cancelled(
    office: Any, team: list[str]
) -> None:
    """Another title is no help; another host, a new time and a cancellation are."""
    gone, other, _ = team
    calendar = await calendar_of(office, gone, other)
    one, two, three = [
        await booked(office, calendar, minutes, assignedUserId=gone) for minutes in (0, 30, 60)
    ]
    await delete(office, gone)
    renamed = await office.change(one, title="Other")
    assert renamed.body["needsHost"] is True
    changed = [
        await office.change(one, assignedUserId=other),
        await office.change(two, startTime=at(90)),
        await office.change(three, appointmentStatus="cancelled"),
    ]
    assert [response.body["needsHost"] for response in changed] == [False] * 3
    assert [response.body["assignedUserId"] for response in changed] == [other, other, gone]
    assert await listed(office) == []
    assert await office.violations() == []


def at(minutes: int) -> str:
    return (MONDAY + timedelta(minutes=minutes)).isoformat()


async def test_the_list_has_pages(office: Any, team: list[str]) -> None:
    calendar = await calendar_of(office, team[0])
    ids = [await booked(office, calendar, 30 * n) for n in range(3)]
    await delete(office, team[0])
    query = {
        "locationId": office.tenant.location_id,
        "startTime": at(0),
        "endTime": at(480),
        "needsHost": "true",
        "limit": "2",
    }
    first = (await office.request("GET", "/calendars/events", query=query)).body
    query["cursor"] = first["nextCursor"]
    second = (await office.request("GET", "/calendars/events", query=query)).body
    assert [one["id"] for page in (first, second) for one in page["events"]] == ids
    assert "nextCursor" not in second


async def test_a_deletion_that_arrives_again_changes_nothing(office: Any, team: list[str]) -> None:
    calendar = await calendar_of(office, team[0], team[1])
    mine = await booked(office, calendar, assignedUserId=team[0])
    for _ in range(2):
        async with office.runtime.db.transaction() as db:
            await on_user_deleted(db, deletion(office, team[0]), NOW)
    assert len(await office.announced(mine)) == 2
    assert len(await office.announced(calendar)) == 2


async def test_a_held_time_of_a_deleted_user_is_released(office: Any, team: list[str]) -> None:
    """Nobody becomes the user's guest by a hold."""
    calendar = await calendar_of(office, team[0], calendarType="personal")
    held = await office.request("POST", f"/calendars/{calendar}/holds", {"startTime": at(0)})
    hold = held.body["hold"]["id"]
    await delete(office, team[0])
    kinds = [(kind, body["change"]["reason"]) for kind, body in await office.announced(hold)]
    assert kinds == [("HoldChanged", None), ("HoldDeleted", "released")]
    response = await office.book(calendar, holdId=hold)
    assert (response.status, response.body["reason"]) == (400, "hold_gone")
    assert await office.violations() == []


async def test_all_at_once_to_whoever_is_free(office: Any, team: list[str]) -> None:
    """Each by itself, the soonest first: what nobody can take stays listed, and says why."""
    gone, one, other = team
    calendar = await calendar_of(office, *team)
    ids = [await booked(office, calendar, 30 * n, assignedUserId=gone) for n in range(3)]
    await office.block(0, 30, user_id=one)
    for busy in (one, other):
        await office.block(60, 90, user_id=busy)
    await delete(office, gone)
    body = await reassigned(office, gone)
    assert [one["id"] for one in body["appointments"]] == ids
    assert [one["outcome"] for one in body["appointments"]] == ["reassigned"] * 2 + ["refused"]
    assert body["appointments"][0]["assignedUserId"] == other
    assert (body["reassigned"], body["refused"], body["appointments"][2]["code"]) == (
        2,
        1,
        "slot_unavailable",
    )
    assert await listed(office) == ids[2:]
    kind, event = (await office.announced(ids[0]))[-1]
    assert (kind, event["state"]["hosts"]) == ("AppointmentRescheduled", [other])
    assert event["state"]["needsHost"] is False
    await office.request("DELETE", f"/calendars/events/{ids[2]}")
    assert (await reassigned(office, gone))["appointments"] == []
    assert await office.violations() == []


async def test_to_one_colleague_page_by_page(office: Any, team: list[str]) -> None:
    gone, colleague, _ = team
    calendar, private = await calendar_of(office, *team), await calendar_of(office, gone)
    ids = [await booked(office, calendar, 30 * n, assignedUserId=gone) for n in range(3)]
    alone = await booked(office, private, 90)
    await delete(office, gone)
    first = await reassigned(office, gone, toUserId=colleague, limit=2, toNotify=False)
    second = await reassigned(office, gone, toUserId=colleague, limit=2, cursor=first["nextCursor"])
    assert "nextCursor" not in second
    both = [*first["appointments"], *second["appointments"]]
    assert [one["id"] for one in both] == [*ids, alone]
    assert [one["assignedUserId"] for one in both] == [colleague] * 3 + [gone]
    assert (both[3]["outcome"], both[3]["code"]) == ("refused", "no_host")
    change = (await office.announced(ids[0]))[-1][1]["change"]
    assert (change["notify"], change["actor"]) == (False, office.tenant.key_id)


async def test_only_some_of_a_user_who_stays(office: Any, team: list[str]) -> None:
    """Somebody is ill: the named appointments go to others, never back to the same."""
    ill, one, other = team
    calendar = await calendar_of(office, *team)
    ids = [await booked(office, calendar, 30 * n, assignedUserId=ill) for n in range(2)]
    body = await reassigned(office, ill, appointmentIds=ids[:1])
    assert [each["id"] for each in body["appointments"]] == ids[:1]
    assert body["appointments"][0]["assignedUserId"] in (one, other)
    assert (await shown(office, ids[1]))["assignedUserId"] == ill
    assert (await shown(office, ids[0]))["needsHost"] is False


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"toUserId": "stranger"}, 422, "toUserId"),
        ({"toUserId": "self"}, 422, "toUserId"),
        ({"appointmentIds": []}, 422, "appointmentIds"),
        ({"limit": 101}, 422, "limit"),
        ({"cursor": "nonsense"}, 422, "cursor"),
        ({"appointmentIds": ["nonsense"]}, 404, "appointmentIds"),
        ({"appointmentIds": ["06gvtdrgepradfongt4fpt6dls"]}, 404, "appointmentIds"),
    ],
)
async def test_what_cannot_be_reassigned_names_the_field(
    office: Any, team: list[str], body: Any, status: int, path: str | None
) -> None:
    sent = {"toUserId": team[0]} if body.get("toUserId") == "self" else body
    response = await office.request("POST", f"/users/{team[0]}/reassign", sent)
    assert response.status == status, response.body
    assert [d["path"] for d in response.body["details"]] == ([path] if path else [])
    assert (await office.request("POST", f"/users/{new_id()}/reassign", {})).status == 404


async def test_a_group_gets_one_host_together(office: Any, team: list[str]) -> None:
    """Three in a class keep sharing a session, whoever is free for it."""
    gone, one, other = team
    calendar = await calendar_of(office, *team, appoinmentPerSlot=3)
    ids = [await booked(office, calendar, assignedUserId=gone) for _ in range(3)]
    await delete(office, gone)
    body = await reassigned(office, gone)
    assert body["refused"] == 0
    states = [(await office.announced(each))[-1][1]["state"] for each in ids]
    assert len({state["session"] for state in states}) == 1
    assert {state["assignedUserId"] for state in states} <= {one, other}
    assert await office.violations() == []


async def test_a_group_is_named_by_one_of_it_and_may_span_pages(
    office: Any, team: list[str]
) -> None:
    """Somebody is ill: all who share the session go to the same colleague, also page by page."""
    ill = team[0]
    calendar = await calendar_of(office, *team, appoinmentPerSlot=3)
    ids = [await booked(office, calendar, assignedUserId=ill) for _ in range(3)]
    later = await booked(office, calendar, 30, assignedUserId=ill)
    first = await reassigned(office, ill, appointmentIds=ids[:1], limit=2)
    second = await reassigned(
        office, ill, appointmentIds=ids[:1], limit=2, cursor=first["nextCursor"]
    )
    assert [one["id"] for page in (first, second) for one in page["appointments"]] == ids
    states = [(await office.announced(each))[-1][1]["state"] for each in ids]
    assert len({state["session"] for state in states}) == 1
    assert (await shown(office, later))["assignedUserId"] == ill
    assert await office.violations() == []


async def test_a_collective_goes_on_with_the_others(office: Any, team: list[str]) -> None:
    """The next member becomes the primary one; what is booked gets the present team, all at once."""
    members = [{"userId": user, "isPrimary": user == team[0]} for user in team]
    calendar = await office.calendar(calendarType="collective", teamMembers=members)
    mine = await booked(office, calendar)
    assert (await reassigned(office, team[0]))["appointments"][0]["code"] == "invalid"
    await delete(office, team[0])
    read = (await office.request("GET", f"/calendars/{calendar}")).body["calendar"]
    assert [(m["userId"], m["isPrimary"]) for m in read["teamMembers"]] == [
        (team[1], True),
        (team[2], False),
    ]
    assert await listed(office) == [mine]
    assert (await reassigned(office, team[0]))["reassigned"] == 1
    event = await shown(office, mine)
    assert (event["assignedUserId"], event["users"]) == (team[1], [team[2]])
    assert await listed(office) == []
    new = await booked(office, calendar, 30)
    assert (await shown(office, new))["users"] == [team[2]]
    assert await office.violations() == []


async def test_a_collective_group_waits_for_another_time(office: Any, team: list[str]) -> None:
    """Several share the present hosts: nobody gets others alone, and both are listed until they move."""
    members = [{"userId": user, "isPrimary": user == team[0]} for user in team]
    calendar = await office.calendar(
        calendarType="collective",
        teamMembers=members,
        appoinmentPerSlot=2,
        allowSameContact=True,
    )
    ids = [await booked(office, calendar) for _ in range(2)]
    await delete(office, team[1])
    refused = (await reassigned(office, team[1]))["appointments"]
    assert [one["details"][0]["code"] for one in refused] == ["group_session"] * 2
    assert await listed(office) == ids
    moved = [await office.change(one, startTime=at(60)) for one in ids]
    assert [one.body["users"] for one in moved] == [[team[2]]] * 2
    assert await listed(office) == []
    assert await office.violations() == []


async def test_another_account_knows_nothing_of_it(office: Any, team: list[str]) -> None:
    """A deletion in one account leaves a user of the same id in another alone."""
    calendar = await calendar_of(office, team[0])
    event = UserDeleted(account_id=new_id(), state=Gone(id=team[0], sequence=2))
    async with office.runtime.db.transaction() as db:
        await on_user_deleted(db, event, NOW)
    assert (await office.book(calendar)).body["assignedUserId"] == team[0]


async def test_a_decision_from_before_the_deletion_is_outdated(
    office: Any, team: list[str]
) -> None:
    """A booking and a change that were decided with the user cannot be committed any more."""
    gone, other, _ = team
    db, account = office.runtime.db, office.tenant.account_id
    calendar = await calendar_of(office, gone, other)
    mine = await booked(office, calendar, 30, assignedUserId=other)
    new = NewAppointment(new_id(), office.tenant.contact_ids[0])
    with_gone = AppointmentPatch(calendar_id=calendar, start=MONDAY, host=gone)
    times = SnapshotRequest(account, NOW, calendar, MONDAY, None, new.contact_id)
    found = await get_snapshot(db, times)
    decided = [book(found.snapshot, new, with_gone, session_id=new_id(), now=NOW)]
    found = await get_snapshot(db, SnapshotRequest(account, NOW, appointment=mine))
    handed = AppointmentPatch(host=gone)
    decided.append(change(found.before, found.snapshot, handed, session_id=new_id(), now=NOW))
    await delete(office, gone)
    assert [await commit_decision(db, one, now=NOW) for one in decided] == [False, False]
    assert (await shown(office, mine))["assignedUserId"] == other


async def test_booked_while_the_user_is_deleted(office: Any) -> None:
    """Before, and it needs a host; or after, and somebody else hosts it. In two processes."""
    other = await Database.open(office.runtime.db.dsn, name="consumer", pool_size=2)
    stays = await user(office)

    async def forget(gone: str, after: float) -> None:
        await asyncio.sleep(after)
        async with other.transaction() as db:
            await on_user_deleted(db, deletion(office, gone), NOW)

    for n in range(ROUNDS):
        gone = await user(office)
        members = [{"userId": gone, "priority": 1}, {"userId": stays, "priority": 0}]
        calendar = await office.calendar(calendarType="round_robin", teamMembers=members)
        minutes = 30 * (n % 16) + 24 * 60 * (n // 16)
        response, _ = await asyncio.gather(office.book(calendar, minutes), forget(gone, n * STEP))
        assert response.status == 200, response.body
        event = await shown(office, response.body["id"])
        assert event["needsHost"] == (event["assignedUserId"] == gone)
    await other.close()
    assert await office.violations() == []
