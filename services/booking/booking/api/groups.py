"""The operations on groups of calendars."""

from typing import Any

from booking.api.documents import Kept, Success, begun, delete_once, found, sent, written
from booking.api.models import InLocation, Name, Slug
from booking.api.shown import read_token
from booking.handlers import groups as handlers
from booking.store.documents import groups, slug_is_free
from hoop_events.calendars import CalendarGroup
from hoop_platform.auth import location_zone
from hoop_platform.errors import Conflict, LocationForbidden, NotFound
from hoop_platform.http.parse import Body, Text
from hoop_platform.http.route import Call, Reply, ResponseModel, Route


class CreateGroup(Body):
    location_id: str
    name: Name
    description: Text = ""
    slug: Slug
    is_active: bool = True


class UpdateGroup(Body):
    """A patch: the defaults are never used, for a field that was not sent stays as it is."""

    name: Name = ""
    description: Text = ""
    slug: Slug = ""


class ValidateSlug(Body):
    location_id: str
    slug: Slug


class Switch(Body):
    is_active: bool


class GroupShown(Kept):
    location_id: str
    name: str
    description: str
    slug: str
    is_active: bool


class OneGroup(ResponseModel):
    group: GroupShown


class Groups(ResponseModel):
    groups: list[GroupShown]


class Available(ResponseModel):
    available: bool


async def list_groups(call: Call) -> dict[str, Any]:
    query: InLocation = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    there = await groups.find(call.runtime.db, call.account_id, {}, location_id=query.location_id)
    return {"groups": [shown(group) for group in there]}


async def create_group(call: Call) -> Reply:
    body: CreateGroup = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    group = CalendarGroup(**begun(call), **body.model_dump())
    async with call.runtime.db.transaction() as db:
        group = await handlers.create_group(db, call.account_id, group, now=call.now)
    return _written(group)


async def validate_slug(call: Call) -> dict[str, bool]:
    """Say whether a new group of this location could have this slug."""
    body: ValidateSlug = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    free = await slug_is_free(call.runtime.db, call.account_id, body.location_id, body.slug)
    return {"available": free}


async def get_group(call: Call) -> Reply:
    return _written(await found(call, groups, "groupId"))


async def update_group(call: Call) -> Reply:
    group_id = (await found(call, groups, "groupId")).id
    async with call.runtime.db.transaction() as db:
        group = await handlers.change_group(
            db, call.account_id, group_id, sent(call.body), now=call.now, expected=call.if_match
        )
    return _written(group)


async def switch_group(call: Call) -> Reply:
    """Switch the group on or off, and with it every one of its calendars."""
    body: Switch = call.body
    group_id = (await found(call, groups, "groupId")).id
    async with call.runtime.db.transaction() as db:
        versions = await handlers.set_group_active(
            db, call.account_id, group_id, body.is_active, now=call.now, expected=call.if_match
        )
    return Reply({"success": True}, headers=read_token(versions))


async def delete_group(call: Call) -> Reply:
    """Delete the group; its calendars stay, in none."""
    return await delete_once(call, groups, call.id("groupId"), handlers.delete_group)


def shown(group: CalendarGroup) -> dict[str, Any]:
    """The group object of the API."""
    return group.model_dump(mode="json", by_alias=True, exclude={"sequence"})


def _written(group: CalendarGroup) -> Reply:
    return written({"group": shown(group)}, group.version, {})


READ = ("calendars.readonly", "calendars/groups.readonly")
WRITE = ("calendars.write", "calendars/groups.write")
_GROUP = "/calendars/groups/{groupId}"
ROUTES = (
    Route(
        "GET",
        "/calendars/groups",
        list_groups,
        READ,
        query=InLocation,
        reply=Groups,
        summary="Get groups",
        refusals=(LocationForbidden,),
    ),
    Route(
        "POST",
        "/calendars/groups",
        create_group,
        WRITE,
        body=CreateGroup,
        reply=OneGroup,
        status=201,
        summary="Create group",
        refusals=(LocationForbidden, Conflict),
    ),
    Route(
        "POST",
        "/calendars/groups/validate-slug",
        validate_slug,
        WRITE,
        body=ValidateSlug,
        reply=Available,
        summary="Validate group slug",
        refusals=(LocationForbidden,),
    ),
    Route(
        "GET",
        _GROUP,
        get_group,
        READ,
        reply=OneGroup,
        summary="Get group",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _GROUP,
        update_group,
        WRITE,
        body=UpdateGroup,
        reply=OneGroup,
        summary="Update group",
        refusals=(NotFound, Conflict),
    ),
    Route(
        "PUT",
        f"{_GROUP}/status",
        switch_group,
        WRITE,
        body=Switch,
        reply=Success,
        summary="Disable or enable group",
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _GROUP,
        delete_group,
        WRITE,
        reply=Success,
        summary="Delete group",
        refusals=(NotFound,),
    ),
)
