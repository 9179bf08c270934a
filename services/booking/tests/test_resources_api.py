"""Rooms and equipment over HTTP."""

from typing import Any

import pytest

from hoop_platform.ids import new_id

ROOMS = "/calendars/resources/rooms"
EQUIPMENT = "/calendars/resources/equipments"


async def create(office: Any, path: str, *calendars: str, **fields: Any) -> dict[str, Any]:
    body = {
        "locationId": office.tenant.location_id,
        "name": "Thing",
        "description": "A thing",
        "quantity": 2,
        "outOfService": 0,
        "capacity": 8,
        "calendarIds": list(calendars),
        **fields,
    }
    response = await office.request("POST", path, body)
    assert response.status == 201, response.body
    return {name: value for name, value in response.content.items() if name != "warnings"}


async def test_a_room_is_created_read_changed_and_deleted(office: Any) -> None:
    """A bare object, known as `id` and `_id`; the response to an update has no `calendarIds`."""
    calendar = await office.calendar()
    room = await create(office, ROOMS, calendar)
    assert room["id"] == room["_id"]
    assert (room["resourceType"], room["isActive"], room["calendarIds"]) == (
        "rooms",
        True,
        [calendar],
    )
    path = f"{ROOMS}/{room['id']}"
    assert (await office.request("GET", path)).content == room
    changed = await office.request("PUT", path, {"name": "Red room", "isActive": False})
    assert (changed.status, changed.body["name"], changed.body["version"]) == (200, "Red room", 2)
    assert "calendarIds" not in changed.body
    shown = (await office.request("GET", path)).content
    assert (shown["calendarIds"], shown["isActive"]) == ([calendar], False)

    deleted = [await office.request("DELETE", path) for _ in range(2)]
    assert [(one.status, one.content) for one in deleted] == [(200, {"success": True})] * 2
    assert (await office.request("GET", path)).status == 404
    kinds = [kind for kind, _ in await office.announced(room["id"])]
    assert kinds == ["ResourceChanged", "ResourceChanged", "ResourceDeleted"]


async def test_what_has_no_effect_says_so(office: Any) -> None:
    """Of a room its units, of equipment its capacity; nothing of what counts, or was not sent."""
    body = {"locationId": office.tenant.location_id, "name": "Thing", "quantity": 2, "capacity": 8}
    for path, field in ((ROOMS, "quantity"), (EQUIPMENT, "capacity")):
        created = await office.request("POST", path, body)
        [warning] = created.body["warnings"]
        assert (warning["path"], warning["code"]) == (field, "no_effect")
        mine = f"{path}/{created.body['id']}"
        assert "warnings" not in (await office.request("PUT", mine, {"name": "Other"})).body
        changed = await office.request("PUT", mine, {"quantity": 3, "capacity": 3})
        assert [one["path"] for one in changed.body["warnings"]] == [field]


async def test_a_list_is_a_bare_array_of_one_type(office: Any) -> None:
    """Page by page, oldest first."""
    rooms = [await create(office, ROOMS, name=f"Room {n}") for n in range(3)]
    await create(office, EQUIPMENT)
    path = f"{ROOMS}?locationId={office.tenant.location_id}"
    assert (await office.request("GET", path)).body == rooms
    assert (await office.request("GET", f"{path}&limit=2&skip=2")).body == rooms[2:]


async def test_a_room_is_needed_from_its_next_calendar_on(office: Any) -> None:
    """Two calendars, one room: who comes second is refused, until the room is only one's."""
    one, other = [await office.calendar(calendarType="event", teamMembers=[]) for _ in range(2)]
    room = await create(office, ROOMS, one, other)
    assert (await office.book(one)).status == 200
    assert (await office.book(other)).body["reason"] == "no_resource"
    await office.request("PUT", f"{ROOMS}/{room['id']}", {"calendarIds": [one]})
    assert (await office.book(other)).status == 200


@pytest.mark.parametrize("kind", [ROOMS, EQUIPMENT])
async def test_a_deleted_resource_is_taken_off_what_is_booked(office: Any, kind: str) -> None:
    """The appointment keeps its time and loses the resource; this is announced, and all invariants hold."""
    calendar = await office.calendar(calendarType="service_booking")
    thing = await create(office, kind, calendar)
    booked = await office.book(calendar)
    assert booked.body["assignedResources"] == [thing["id"]]
    await office.request("DELETE", f"{kind}/{thing['id']}")
    created, updated = await office.announced(booked.body["id"])
    assert updated[0] == "AppointmentUpdated"
    assert updated[1]["state"]["resources"] == []
    assert updated[1]["state"]["version"] == created[1]["state"]["version"]
    assert updated[1]["change"]["reason"] == "resource_deleted"
    assert await office.violations() == []
    assert (await office.change(booked.body["id"], title="Goes on")).status == 200


async def test_cars_are_no_resources(office: Any) -> None:
    """The refusal names what is."""
    path = f"/calendars/resources/cars?locationId={office.tenant.location_id}"
    response = await office.request("GET", path)
    assert (response.status, response.body["details"][0]["allowed"]) == (
        422,
        ["rooms", "equipments"],
    )


async def test_a_room_is_no_piece_of_equipment(office: Any) -> None:
    """Under the other type its id is unknown, as is one that never was."""
    room = await create(office, ROOMS)
    for path in (f"{EQUIPMENT}/{room['id']}", f"{ROOMS}/{new_id()}"):
        responses = [
            await office.request("GET", path),
            await office.request("PUT", path, {}),
            await office.request("DELETE", path),
        ]
        assert [response.status for response in responses] == [404] * 3
    assert (await office.request("GET", f"{ROOMS}/{room['id']}")).status == 200


@pytest.mark.parametrize(
    ("fields", "status", "path"),
    [
        ({"quantity": 1, "outOfService": 2}, 422, "outOfService"),
        ({"quantity": -1}, 422, "quantity"),
        ({"name": ""}, 422, "name"),
        ({"calendarIds": ["nonsense"]}, 404, "calendarIds.0"),
        ({"calendarIds": ["nonsense"] * 101}, 422, "calendarIds"),
        ({"color": "red"}, 422, "color"),
    ],
)
async def test_what_is_no_equipment(office: Any, fields: Any, status: int, path: Any) -> None:
    body = {"locationId": office.tenant.location_id, "name": "Beamer", **fields}
    response = await office.request("POST", EQUIPMENT, body)
    assert response.status == status
    assert [detail["path"] for detail in response.body["details"]] == ([path] if path else [])
