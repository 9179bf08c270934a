"""Schedules over HTTP."""

from typing import Any

import pytest

from hoop_platform.ids import new_id

SCHEDULES = "/calendars/schedules"
NINE_TO_NOON = {"type": "wday", "day": "monday", "intervals": [{"from": "9:00", "to": "12:00"}]}


def body(office: Any, **fields: Any) -> dict[str, Any]:
    return {
        "name": "Mornings",
        "locationId": office.tenant.location_id,
        "userId": office.tenant.user_ids[0],
        "timezone": "America/New_York",
        "rules": [NINE_TO_NOON],
        **fields,
    }


async def create(office: Any, **fields: Any) -> dict[str, Any]:
    response = await office.request("POST", SCHEDULES, body(office, **fields))
    assert response.status == 201, response.body
    return dict(response.body["schedule"])


async def test_a_schedule_is_created_read_changed_and_deleted(office: Any) -> None:
    """Each response shows the schedule; each change is announced; deleting twice is as deleting once."""
    schedule = await create(office, rules=[NINE_TO_NOON, {**NINE_TO_NOON, "day": "friday"}])
    path = f"{SCHEDULES}/{schedule['id']}"
    assert (schedule["deleted"], schedule["calendarIds"]) == (False, [])
    assert schedule["rules"][0] == NINE_TO_NOON
    assert (await office.request("GET", path)).body["schedule"] == schedule
    changed = await office.request("PUT", path, {"timezone": "America/Argentina/Buenos_Aires"})
    assert (changed.status, changed.body["schedule"]["version"]) == (200, 2)
    assert changed.body["schedule"]["rules"] == schedule["rules"]
    assert (await office.request("PUT", path, {})).body["schedule"] == changed.body["schedule"]

    deleted = [await office.request("DELETE", path) for _ in range(2)]
    assert [(one.status, one.content) for one in deleted] == [(200, {"success": True})] * 2
    assert (await office.request("GET", path)).status == 404
    kinds = [kind for kind, _ in await office.announced(schedule["id"])]
    assert kinds == ["ScheduleChanged", "ScheduleChanged", "ScheduleDeleted"]


async def test_a_schedule_counts_where_it_is_associated(office: Any) -> None:
    """No body at all, twice each: the afternoon is closed meanwhile, and announced is what changed."""
    calendar, schedule = await office.calendar(), await create(office)
    path = f"{SCHEDULES}/{schedule['id']}/associations/{calendar}"

    async def twice(method: str) -> None:
        for _ in range(2):
            response = await office.request(method, path, data=b"")
            assert (response.status, response.content) == (200, {"success": True})

    await twice("PUT")
    assert (await office.book(calendar, 240)).status == 400
    await twice("DELETE")
    assert (await office.book(calendar, 240)).status == 200
    fields = [event["state"]["calendarIds"] for _, event in await office.announced(schedule["id"])]
    assert fields == [[], [calendar], []]


async def test_associating_what_is_unknown(office: Any) -> None:
    calendar, schedule = await office.calendar(), (await create(office))["id"]
    for one, other in ((new_id(), calendar), (schedule, new_id()), (schedule, "nonsense")):
        path = f"{SCHEDULES}/{one}/associations/{other}"
        responses = [await office.request(method, path) for method in ("PUT", "DELETE")]
        assert [response.status for response in responses] == [404, 404]


async def test_schedules_are_searched_by_user_and_calendar(office: Any) -> None:
    """Of one user in one location, page by page; of one calendar."""
    calendar = await office.calendar()
    mine = [await create(office, calendarIds=[calendar]), await create(office)]
    theirs = await create(office, userId=office.tenant.user_ids[1])

    async def found(**fields: Any) -> Any:
        query = {
            "locationId": office.tenant.location_id,
            "userId": office.tenant.user_ids[0],
            **fields,
        }
        response = await office.request("GET", f"{SCHEDULES}/search", query=query)
        return response.body["schedules"] if response.status == 200 else response.status

    assert await found() == mine
    assert await found(skip="1", limit="1") == mine[1:]
    assert await found(calendarId=calendar) == mine[:1]
    assert await found(userId=office.tenant.user_ids[1]) == [theirs]
    assert await found(userId=new_id()) == 422
    assert await found(calendarId=new_id()) == 404
    assert await found(locationId=new_id()) == 403
    assert await found(limit="0") == 422


async def test_a_user_s_calendars_and_schedules(office: Any) -> None:
    """Where the user is in the team, and what has the user's id; a stranger is unknown."""
    mine, theirs = office.tenant.user_ids[:2]
    calendar = await office.calendar()
    await office.calendar(teamMembers=[{"userId": theirs}])
    schedule = await create(office)
    calendars = await office.request("GET", f"/users/{mine}/calendars")
    assert [one["id"] for one in calendars.body["calendars"]] == [calendar]
    schedules = await office.request("GET", f"/users/{mine}/schedules")
    assert schedules.body["schedules"] == [schedule]
    for what in ("calendars", "schedules"):
        assert (await office.request("GET", f"/users/{new_id()}/{what}")).status == 404


async def test_overlapping_intervals_are_joined(office: Any) -> None:
    """As sent where they do not overlap, also where they adjoin; the same again changes nothing."""

    def monday(*spans: tuple[str, str]) -> dict[str, Any]:
        return {**NINE_TO_NOON, "intervals": [{"from": a, "to": b} for a, b in spans]}

    overlapping = monday(("11:00", "13:00"), ("9:00", "12:00"), ("9:30", "10:00"))
    apart = monday(("14:00", "15:00"), ("9:00", "12:00"), ("12:00", "13:00"))
    schedule = await create(office, rules=[overlapping, {**apart, "day": "friday"}])
    assert schedule["rules"] == [monday(("9:00", "13:00")), {**apart, "day": "friday"}]
    path = f"{SCHEDULES}/{schedule['id']}"
    again = await office.request("PUT", path, {"rules": [overlapping, {**apart, "day": "friday"}]})
    assert again.body["schedule"] == schedule


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"timezone": "localtime"}, "timezone"),
        ({"rules": [{**NINE_TO_NOON, "day": "funday"}]}, "rules.0.day"),
        ({"rules": [{"type": "date", "date": "2027-02-29", "intervals": []}]}, "rules.0.date"),
        ({"rules": [NINE_TO_NOON, NINE_TO_NOON]}, "rules.1.day"),
        (
            {"rules": [{**NINE_TO_NOON, "intervals": [{"from": "9:00", "to": "25:00"}]}]},
            "rules.0.intervals.0.to",
        ),
        (
            {"rules": [{**NINE_TO_NOON, "intervals": [{"from": "9:00", "to": "9:00"}]}]},
            "rules.0.intervals",
        ),
        ({"rules": [NINE_TO_NOON] * 401}, "rules"),
        ({"userId": "nobody"}, "userId"),
    ],
)
async def test_what_is_no_schedule(office: Any, fields: Any, path: str) -> None:
    response = await office.request("POST", SCHEDULES, body(office, **fields))
    assert (response.status, response.body["details"][0]["path"]) == (422, path)


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+5", "America/Port-au-Prince", "US/Eastern"])
async def test_every_zone_of_the_database_is_one(office: Any, zone: str) -> None:
    assert (await create(office, timezone=zone))["timezone"] == zone
