"""An API key of one location has no access to another location of its account."""

from dataclasses import replace
from typing import Any

import pytest

from hoop_events.accounts import Location, LocationChanged
from hoop_events.effects import Connection, ConnectionChanged
from hoop_platform.ids import new_id
from local.testing.client import Client
from local.testing.events import publish
from local.testing.tenant import Tenant


@pytest.fixture
def second() -> str:
    """Another location of the account."""
    return new_id()


@pytest.fixture
async def stranger(office: Any, second: str) -> Any:
    """A client with an API key of the second location of the same account."""
    key = replace(office.tenant, key_id=new_id())
    *_, unconfined = key.events
    confined = unconfined.model_copy(
        update={"state": unconfined.state.model_copy(update={"location_ids": (second,)})}
    )
    location = Location(id=second, sequence=1, name="Elsewhere", time_zone="UTC")
    account = {"account_id": office.tenant.account_id}
    await publish(office.kafka, LocationChanged(**account, state=location), confined)
    assert await office.runtime.catch_up()
    async with Client(office.base_url, key.api_key) as request:
        assert (await request("GET", "/calendars/", query={"locationId": second})).status == 200
        yield request


async def test_what_stands_elsewhere_is_unknown(office: Any, stranger: Any) -> None:
    """To read, to change and to delete; and it is all still there afterwards."""
    calendar = await office.calendar()
    group = (await office.group("doctors")).id
    room = (await office.resource("rooms", calendar)).id
    schedule = (await office.schedule()).id
    block = (await office.block(0, 60, calendar_id=calendar)).id
    paths = {
        f"/calendars/{calendar}": {"name": "Mine"},
        f"/calendars/groups/{group}": {"name": "Mine"},
        f"/calendars/resources/rooms/{room}": {"name": "Mine"},
        f"/calendars/schedules/{schedule}": {"name": "Mine"},
        f"/calendars/schedules/{schedule}/associations/{calendar}": None,
        f"/calendars/events/block-slots/{block}": {"title": "Mine"},
        f"/calendars/groups/{group}/status": {"isActive": False},
    }
    for path, body in paths.items():
        assert (await stranger("PUT", path, body)).status == 404, path
    deletable = [path for path in paths if not path.endswith(("status", block))]
    for path in [*deletable, f"/calendars/events/{block}"]:
        assert (await stranger("DELETE", path)).status == 404, path
    for path in deletable[:4]:
        assert (await stranger("GET", path)).status == 404
        assert (await office.request("GET", path)).status == 200
    assert (await stranger("GET", f"/calendars/{calendar}/connections")).status == 404


async def test_of_a_user_only_what_stands_there_is_listed(office: Any, stranger: Any) -> None:
    """The user is the account's; their calendars and schedules belong to locations."""
    await office.calendar()
    await office.schedule()
    user = office.tenant.user_ids[0]
    for what in ("calendars", "schedules"):
        path = f"/users/{user}/{what}"
        assert len((await office.request("GET", path)).body[what]) == 1
        assert (await stranger("GET", path)).body[what] == []


async def test_only_what_is_connected_there_is_shown(
    office: Any, stranger: Any, second: str
) -> None:
    """Connected to a calendar of the location, or to a member of one."""
    ann, bob = office.tenant.user_ids
    here = await office.calendar(teamMembers=[{"userId": ann}])
    there = await office.calendar(teamMembers=[{"userId": bob}], locationId=second)
    connections = {owner: new_id() for owner in (here, ann, there, bob)}
    for owner, connection in connections.items():
        kind = "user" if owner in office.tenant.user_ids else "calendar"
        state = Connection(
            id=connection,
            sequence=1,
            provider="zoom" if kind == "user" else "google",
            owner_kind=kind,
            owner_id=owner,
            status="active",
        )
        event = ConnectionChanged(account_id=office.tenant.account_id, state=state)
        await publish(office.kafka, event)
    assert await office.runtime.catch_up()

    async def shown(request: Any) -> set[str]:
        return {one["id"] for one in (await request("GET", "/integrations")).body["integrations"]}

    assert await shown(stranger) == {connections[there], connections[bob]}
    assert await shown(office.request) == {*connections.values()}


async def test_another_account_knows_none_of_it(office: Any) -> None:
    """The responses to a foreign id and to an unknown one are the same."""
    other = Tenant()
    await publish(office.kafka, *other.events)
    assert await office.runtime.catch_up()
    calendar = await office.calendar()
    schedule = (await office.schedule()).id
    path = "/calendars/schedules/{}/associations/{}"
    async with Client(office.base_url, other.api_key) as request:
        for ids in ((schedule, calendar), (new_id(), new_id())):
            responses = [await request(method, path.format(*ids)) for method in ("PUT", "DELETE")]
            responses.append(await request("GET", f"/calendars/{ids[1]}"))
            refused = [(one.status, one.body["message"]) for one in responses]
            assert refused == [
                (404, "Not found: id."),
                (404, "Not found: id."),
                (404, "Not found: calendarId."),
            ]
        body = {
            "name": "Theirs",
            "locationId": other.location_id,
            "userId": office.tenant.user_ids[0],
            "timezone": "UTC",
        }
        response = await request("POST", "/calendars/schedules", body)
        assert (response.status, response.body["details"][0]["code"]) == (422, "unknown_user")
