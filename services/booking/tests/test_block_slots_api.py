"""Block slots over HTTP."""

from typing import Any

import pytest

from hoop_platform.ids import new_id

BLOCKS = "/calendars/events/block-slots"
NOON, ONE, TWO = (f"2027-03-01T{hour}:00:00-05:00" for hour in (12, 13, 14))


def body(office: Any, **fields: Any) -> dict[str, Any]:
    return {
        "locationId": office.tenant.location_id,
        "startTime": NOON,
        "endTime": ONE,
        **fields,
    }


async def create(office: Any, **fields: Any) -> dict[str, Any]:
    response = await office.request("POST", BLOCKS, body(office, **fields))
    assert response.status == 201, response.body
    return dict(response.content)


async def test_a_user_is_blocked_moved_and_freed(office: Any) -> None:
    """A bare object; an update is 201, too; the response to DELETE is that of an appointment."""
    user = office.tenant.user_ids[0]
    calendar = await office.calendar()
    block = await create(office, assignedUserId=user, title="Lunch")
    assert {name: block[name] for name in ("startTime", "endTime", "title", "assignedUserId")} == {
        "startTime": NOON,
        "endTime": ONE,
        "title": "Lunch",
        "assignedUserId": user,
    }
    assert not {"calendarId", "resourceId"} & block.keys()
    assert (await office.book(calendar, 180)).status == 400

    moved = await office.request(
        "PUT", f"{BLOCKS}/{block['id']}", {"startTime": ONE, "endTime": TWO}
    )
    assert (moved.status, moved.body["startTime"], moved.body["title"]) == (201, ONE, "Lunch")
    assert (await office.book(calendar, 180)).status == 200
    again = await office.request("PUT", f"{BLOCKS}/{block['id']}", {})
    assert (again.status, again.body["version"]) == (201, 2)

    deleted = [
        await office.request("DELETE", f"/calendars/events/{block['id']}", {}) for _ in range(2)
    ]
    assert [(one.status, one.content) for one in deleted] == [(201, {"succeeded": True})] * 2
    assert (await office.book(calendar, 240)).status == 200
    assert (await office.request("PUT", f"{BLOCKS}/{block['id']}", {})).status == 404
    kinds = [kind for kind, _ in await office.announced(block["id"])]
    assert kinds == ["BlockSlotChanged", "BlockSlotChanged", "BlockSlotDeleted"]


async def test_any_calendar_can_be_blocked_and_any_resource(office: Any) -> None:
    """Not only those of type event. Who names another target blocks that instead."""
    one, other = await office.calendar(), await office.calendar()
    block = await create(office, calendarId=one)
    assert [(await office.book(c, 180)).status for c in (one, other)] == [400, 200]
    changed = await office.request("PUT", f"{BLOCKS}/{block['id']}", {"calendarId": other})
    assert changed.body["calendarId"] == other
    room = await office.resource("rooms", one)
    changed = await office.request("PUT", f"{BLOCKS}/{block['id']}", {"resourceId": room.id})
    assert "calendarId" not in changed.body
    assert (await office.book(one, 180)).status == 400


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "calendarId"),
        ({"calendarId": new_id(), "resourceId": new_id()}, "calendarId"),
        ({"assignedUserId": new_id()}, "assignedUserId"),
        ({"assignedUserId": "nobody"}, "assignedUserId"),
        ({"calendarId": new_id(), "endTime": NOON}, "endTime"),
        ({"calendarId": new_id(), "endTime": "2037-03-01T12:00:00Z"}, "endTime"),
        ({"calendarId": new_id(), "startTime": "2027-03-01T12:00:00"}, "startTime"),
        ({"calendarId": new_id(), "title": "two\nlines"}, "title"),
    ],
)
async def test_what_is_no_block(office: Any, fields: Any, path: str) -> None:
    response = await office.request("POST", BLOCKS, body(office, **fields))
    assert (response.status, response.body["details"][0]["path"]) == (422, path)


async def test_a_year_of_local_days_is_the_longest(office: Any) -> None:
    """366 days by the clocks of the location, also where they went back an hour in between."""
    user = {"assignedUserId": office.tenant.user_ids[0], "startTime": "2027-06-01T12:00:00-04:00"}
    late = body(office, **user, endTime="2028-06-01T12:01:00-04:00")
    refused = await office.request("POST", BLOCKS, late)
    assert (refused.status, refused.body["details"][0]["code"]) == (422, "too_long")
    block = await create(office, **user, endTime="2028-06-01T12:00:00-04:00")
    path = f"{BLOCKS}/{block['id']}"
    changed = await office.request("PUT", path, {"endTime": "2028-06-01T12:01:00-04:00"})
    assert changed.status == 422


@pytest.mark.parametrize("target", ["calendarId", "resourceId"])
async def test_blocking_what_is_unknown(office: Any, target: str) -> None:
    for unknown in (new_id(), "nonsense"):
        response = await office.request("POST", BLOCKS, body(office, **{target: unknown}))
        assert response.status == 404
    assert (await office.request("DELETE", f"/calendars/events/{new_id()}")).status == 404


async def test_a_block_stays_in_its_location(office: Any) -> None:
    """The present location is accepted; an unknown one is 403; a stale change is 412."""
    path = f"{BLOCKS}/{(await create(office, assignedUserId=office.tenant.user_ids[0]))['id']}"
    location = {"locationId": office.tenant.location_id}
    assert (await office.request("PUT", path, location)).status == 201
    assert (await office.request("PUT", path, {"locationId": new_id()})).status == 403
    stale = await office.request("PUT", path, {"title": "x"}, headers={"If-Match": '"7"'})
    assert stale.status == 412
