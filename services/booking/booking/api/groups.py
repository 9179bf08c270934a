"""The operations on groups of calendars."""

from typing import Any

from booking.api.crud import delete_once, find, initial_fields, sent_fields, versioned_reply
from booking.api.presenters import token_header
from booking.api.schemas.shared import (
    LocationQuery,
    Name,
    Slug,
    SuccessResponse,
    VersionedResponse,
)
from booking.handlers import groups as handlers
from booking.store.crud import groups, is_slug_free
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
    """A patch: a field that is not sent stays as it is, and defaults are never used."""

    name: Name = ""
    description: Text = ""
    slug: Slug = ""


class ValidateSlugBody(Body):
    location_id: str
    slug: Slug


class GroupStatusBody(Body):
    is_active: bool


class GroupResponse(VersionedResponse):
    location_id: str
    name: str
    description: str
    slug: str
    is_active: bool


class GroupEnvelope(ResponseModel):
    group: GroupResponse


class GroupListResponse(ResponseModel):
    groups: list[GroupResponse]


class SlugAvailabilityResponse(ResponseModel):
    available: bool


async def list_groups(call: Call[None, LocationQuery]) -> dict[str, Any]:
    location_id = call.query.location_id
    await location_zone(call.caller, location_id, call.runtime.tables)
    found = await groups.list_matching(
        call.runtime.db, call.account_id, {}, location_id=location_id
    )
    return {"groups": [present_group(group) for group in found]}


async def create_group(call: Call[CreateGroup]) -> Reply:
    body = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    group = CalendarGroup(**initial_fields(call), **body.model_dump())
    async with call.runtime.db.transaction() as db:
        group = await handlers.create_group(db, call.account_id, group, now=call.now)
    return _reply(group)


async def validate_slug(call: Call[ValidateSlugBody]) -> dict[str, bool]:
    """Whether a new group of this location could have this slug."""
    body = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    free = await is_slug_free(call.runtime.db, call.account_id, body.location_id, body.slug)
    return {"available": free}


async def get_group(call: Call) -> Reply:
    return _reply(await find(call, groups, "groupId"))


async def update_group(call: Call[UpdateGroup]) -> Reply:
    group_id = (await find(call, groups, "groupId")).id
    changes = sent_fields(call.body)
    async with call.runtime.db.transaction() as db:
        group = await handlers.change_group(
            db, call.account_id, group_id, changes, now=call.now, expected=call.if_match
        )
    return _reply(group)


async def update_group_status(call: Call[GroupStatusBody]) -> Reply:
    """Activate or deactivate the group and all its calendars."""
    active = call.body.is_active
    group_id = (await find(call, groups, "groupId")).id
    async with call.runtime.db.transaction() as db:
        versions = await handlers.set_group_active(
            db, call.account_id, group_id, active, now=call.now, expected=call.if_match
        )
    return Reply({"success": True}, headers=token_header(versions))


async def delete_group(call: Call) -> Reply:
    """Delete the group; its calendars stay, without a group."""
    return await delete_once(call, groups, call.id("groupId"), handlers.delete_group)


def present_group(group: CalendarGroup) -> dict[str, Any]:
    """The group object of the API."""
    return group.model_dump(mode="json", by_alias=True, exclude={"sequence"})


def _reply(group: CalendarGroup) -> Reply:
    return versioned_reply({"group": present_group(group)}, group.version)


READ = ("calendars.readonly", "calendars/groups.readonly")
WRITE = ("calendars.write", "calendars/groups.write")
_GROUP = "/calendars/groups/{groupId}"
ROUTES = (
    Route(
        "GET",
        "/calendars/groups",
        list_groups,
        READ,
        query=LocationQuery,
        reply=GroupListResponse,
        summary="Get groups",
        refusals=(LocationForbidden,),
    ),
    Route(
        "POST",
        "/calendars/groups",
        create_group,
        WRITE,
        body=CreateGroup,
        reply=GroupEnvelope,
        status=201,
        summary="Create group",
        refusals=(LocationForbidden, Conflict),
    ),
    Route(
        "POST",
        "/calendars/groups/validate-slug",
        validate_slug,
        WRITE,
        body=ValidateSlugBody,
        reply=SlugAvailabilityResponse,
        summary="Validate group slug",
        refusals=(LocationForbidden,),
    ),
    Route(
        "GET",
        _GROUP,
        get_group,
        READ,
        reply=GroupEnvelope,
        summary="Get group",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _GROUP,
        update_group,
        WRITE,
        body=UpdateGroup,
        reply=GroupEnvelope,
        summary="Update group",
        refusals=(NotFound, Conflict),
    ),
    Route(
        "PUT",
        f"{_GROUP}/status",
        update_group_status,
        WRITE,
        body=GroupStatusBody,
        reply=SuccessResponse,
        summary="Disable or enable group",
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _GROUP,
        delete_group,
        WRITE,
        reply=SuccessResponse,
        summary="Delete group",
        refusals=(NotFound,),
    ),
)
