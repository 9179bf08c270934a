"""Groups of calendars over HTTP."""

from typing import Any

import pytest

from hoop_platform.ids import new_id

GROUPS = "/calendars/groups"


async def create(office: Any, slug: str = "doctors", **fields: Any) -> dict[str, Any]:
    body = {"locationId": office.tenant.location_id, "name": "Doctors", "slug": slug, **fields}
    response = await office.request("POST", GROUPS, body)
    assert response.status == 201, response.body
    return dict(response.body["group"])


async def test_a_group_is_created_read_changed_and_deleted(office: Any) -> None:
    """Each response shows the group; each change is announced once; deleting twice is as deleting once."""
    group = await create(office, description="All of them")
    path = f"{GROUPS}/{group['id']}"
    assert (group["isActive"], group["description"], group["version"]) == (True, "All of them", 1)
    assert (await office.request("GET", path)).body["group"] == group
    changed = await office.request("PUT", path, {"name": "Surgeons"})
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    assert changed.body["group"]["slug"] == "doctors"
    assert (await office.request("PUT", path, {})).body["group"] == changed.body["group"]
    listed = await office.request("GET", GROUPS, query={"locationId": office.tenant.location_id})
    assert listed.body["groups"] == [changed.body["group"]]

    deleted = [await office.request("DELETE", path) for _ in range(2)]
    assert [(one.status, one.content) for one in deleted] == [(200, {"success": True})] * 2
    assert (await office.request("GET", path)).status == 404
    kinds = [kind for kind, _ in await office.announced(group["id"])]
    assert kinds == ["CalendarGroupChanged", "CalendarGroupChanged", "CalendarGroupDeleted"]


async def test_a_slug_is_given_once_whatever_its_capitals(office: Any) -> None:
    """Taken: 409, and not available; of a group that is gone: available."""
    group = await create(office, "Doctors")
    location = {"locationId": office.tenant.location_id}

    async def available(slug: str) -> Any:
        response = await office.request(
            "POST", f"{GROUPS}/validate-slug", {**location, "slug": slug}
        )
        assert response.status == 200
        return response.body["available"]

    assert [await available(slug) for slug in ("doctors", "nurses")] == [False, True]
    refused = await office.request("POST", GROUPS, {**location, "name": "More", "slug": "DOCTORS"})
    assert (refused.status, refused.body["details"][0]["code"]) == (409, "slug_taken")
    await office.request("DELETE", f"{GROUPS}/{group['id']}")
    assert await available("doctors")


@pytest.mark.parametrize("slug", ["", "..", "a/b", "x" * 101, "groups", "Events", "döctors"])
async def test_what_is_no_slug(office: Any, slug: str) -> None:
    body = {"locationId": office.tenant.location_id, "name": "Doctors", "slug": slug}
    response = await office.request("POST", GROUPS, body)
    assert (response.status, response.body["details"][0]["path"]) == (422, "slug")


async def test_switching_a_group_switches_its_calendars(office: Any) -> None:
    """Its calendars take nothing any more, and say so; the response carries the consistency token."""
    group = await create(office)
    calendar = await office.calendar(groupId=group["id"])
    path = f"{GROUPS}/{group['id']}/status"
    off = await office.request("PUT", path, {"isActive": False})
    assert (off.status, off.content) == (200, {"success": True})
    assert off.headers["X-Read-Token"]
    shown = (await office.request("GET", f"/calendars/{calendar}")).body["calendar"]
    assert shown["isActive"] is False
    assert (await office.book(calendar)).body["code"] == "calendar_inactive"
    await office.request("PUT", path, {"isActive": True})
    assert (await office.book(calendar)).status == 200


async def test_a_group_that_goes_leaves_its_calendars(office: Any) -> None:
    """They stay, with `groupId` null, and so do their appointments."""
    group = await create(office)
    calendar = await office.calendar(groupId=group["id"])
    mine = (await office.book(calendar)).body["id"]
    await office.request("DELETE", f"{GROUPS}/{group['id']}")
    shown = (await office.request("GET", f"/calendars/{calendar}")).body["calendar"]
    assert shown["groupId"] is None
    read = await office.request("GET", f"/calendars/events/appointments/{mine}")
    assert read.body["event"]["groupId"] == ""


async def test_a_change_of_something_stale_is_refused(office: Any) -> None:
    """Two clients change the version they have read: the second is refused."""
    path = f"{GROUPS}/{(await create(office))['id']}"
    first, second = [
        await office.request("PUT", path, {"name": name}, headers={"If-Match": '"1"'})
        for name in ("One", "Two")
    ]
    assert (first.status, second.status, second.body["code"]) == (200, 412, "stale_version")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"name": "Other"}),
        ("DELETE", "", None),
        ("PUT", "/status", {"isActive": False}),
    ],
)
async def test_a_group_that_never_was(office: Any, method: str, path: str, body: Any) -> None:
    for unknown in (new_id(), "%7BgroupId%7D"):
        response = await office.request(method, f"{GROUPS}/{unknown}{path}", body)
        assert (response.status, response.body["code"]) == (404, "not_found")


async def test_a_group_of_nobody_s_location(office: Any) -> None:
    body = {"locationId": new_id(), "name": "Doctors", "slug": "doctors"}
    assert (await office.request("POST", GROUPS, body)).status == 403
    assert (await office.request("GET", GROUPS, query={"locationId": new_id()})).status == 403
