"""The operations on rooms and equipment."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from booking.api.crud import (
    delete_once,
    find,
    initial_fields,
    sent_fields,
    versioned_reply,
    warnings_of,
)
from booking.api.schemas.shared import (
    Count,
    LocationQuery,
    Name,
    OffsetPageQuery,
    SuccessResponse,
    VersionedResponse,
    Warnings,
)
from booking.api.validation import known_ids
from booking.domain.checks import MAX_CALENDARS, RESOURCE_TYPES, check_immutable
from booking.handlers import resources as handlers
from booking.store.crud import resources
from hoop_events.calendars import Resource
from hoop_platform.auth import location_zone
from hoop_platform.errors import LocationForbidden, NotFound, invalid
from hoop_platform.http.parse import Body, Text
from hoop_platform.http.route import AnyCall, Call, Reply, Route

ResourceType = Literal["rooms", "equipments"]
CalendarIds = Annotated[list[str], Field(max_length=MAX_CALENDARS)]


class _ResourceFields(Body):
    description: Text = ""
    quantity: Annotated[
        Count, Field(description="Units of equipment. For rooms only stored, without effect.")
    ] = 1
    out_of_service: Annotated[
        Count,
        Field(
            description="Units of equipment that cannot be used. For rooms only stored, without effect."
        ),
    ] = 0
    capacity: Annotated[
        Count,
        Field(
            description="People in a room. Sessions of its calendars have so many seats at most (with"
            " several rooms, as many as the largest holds; smaller rooms are then not used). For"
            " equipment only stored, without effect."
        ),
    ] = 1
    calendar_ids: Annotated[
        CalendarIds, Field(description="Rooms: any calendars. Equipment: one, of type service.")
    ] = []


class CreateResource(_ResourceFields):
    location_id: str
    name: Name


class UpdateResource(_ResourceFields):
    """A patch: a field that is not sent stays as it is, and defaults are never used."""

    location_id: str | None = Field(None, description="Only the present value.")
    name: Name = ""
    is_active: bool = True


_WITHOUT_EFFECT: Mapping[ResourceType, Sequence[str]] = {
    "rooms": ("quantity", "out_of_service"),
    "equipments": ("capacity",),
}


class UpdatedResourceResponse(VersionedResponse):
    location_id: str
    name: str
    resource_type: str
    is_active: bool
    description: str
    quantity: int
    out_of_service: int
    capacity: int
    warnings: Warnings = None


class ResourceResponse(UpdatedResourceResponse):
    calendar_ids: list[str]


class ResourceListQuery(LocationQuery, OffsetPageQuery):
    """The resources of a location."""


async def list_resources(call: Call[None, ResourceListQuery]) -> list[Any]:
    query = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    found = await resources.list_matching(
        call.runtime.db,
        call.account_id,
        {"resourceType": _type(call)},
        location_id=query.location_id,
        limit=query.limit,
        skip=query.skip,
    )
    return [present_resource(resource) for resource in found]


async def create_resource(call: Call[CreateResource]) -> Reply:
    body = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    fields = {**body.model_dump(), "calendar_ids": known_ids(body.calendar_ids, "calendarIds")}
    resource = Resource(**initial_fields(call), **fields, resource_type=_type(call))
    async with call.runtime.db.transaction() as db:
        resource = await handlers.create_resource(db, call.account_id, resource, now=call.now)
    return _reply(resource, warnings_of(body, _WITHOUT_EFFECT[_type(call)]))


async def get_resource(call: Call) -> Reply:
    resource = await _find(call)
    return versioned_reply(present_resource(resource), resource.version)


async def update_resource(call: Call[UpdateResource]) -> Reply:
    body = call.body
    resource = await _find(call)
    check_immutable("locationId", resource.location_id, body.location_id)
    changes = sent_fields(body)
    if "calendar_ids" in changes:
        changes["calendar_ids"] = known_ids(body.calendar_ids, "calendarIds")
    async with call.runtime.db.transaction() as db:
        resource = await handlers.change_resource(
            db, call.account_id, resource.id, changes, now=call.now, expected=call.if_match
        )
    warnings = warnings_of(body, _WITHOUT_EFFECT[_type(call)])
    return _reply(resource, warnings, without="calendarIds")


async def delete_resource(call: Call) -> Reply:
    """Delete the resource, which its calendars then do not need any more."""
    kind, resource_id = _type(call), call.id("id")
    resource = await resources.get(call.runtime.db, call.account_id, resource_id)
    if resource is not None and resource.resource_type != kind:
        raise NotFound
    return await delete_once(call, resources, resource_id, handlers.delete_resource)


def _type(call: AnyCall) -> ResourceType:
    match call.path["resourceType"]:
        case "rooms":
            return "rooms"
        case "equipments":
            return "equipments"
        case _:
            raise invalid("resourceType", "enum", "must be rooms or equipments", RESOURCE_TYPES)


async def _find(call: AnyCall) -> Resource:
    """The resource of the path; `NotFound` also for one of the other type."""
    kind = _type(call)
    resource = await find(call, resources, "id")
    if resource.resource_type != kind:
        raise NotFound
    return resource


def present_resource(resource: Resource) -> dict[str, Any]:
    """The resource object of the API; some clients read the id as `_id`."""
    state = resource.model_dump(mode="json", by_alias=True, exclude={"sequence", "versions"})
    return {**state, "_id": resource.id}


def _reply(resource: Resource, warnings: Mapping[str, Any], without: str = "") -> Reply:
    body = {name: value for name, value in present_resource(resource).items() if name != without}
    return versioned_reply({**body, **warnings}, resource.version, resource.versions)


READ = ("calendars.readonly", "calendars/resources.readonly")
WRITE = ("calendars.write", "calendars/resources.write")
_OF_TYPE = "/calendars/resources/{resourceType}"
_RESOURCE = f"{_OF_TYPE}/{{id}}"
_TYPES = {"resourceType": RESOURCE_TYPES}
ROUTES = (
    Route(
        "GET",
        _OF_TYPE,
        list_resources,
        READ,
        query=ResourceListQuery,
        reply=list[ResourceResponse],
        summary="List calendar resources",
        choices=_TYPES,
        refusals=(LocationForbidden,),
    ),
    Route(
        "POST",
        _OF_TYPE,
        create_resource,
        WRITE,
        body=CreateResource,
        reply=ResourceResponse,
        status=201,
        summary="Create calendar resource",
        choices=_TYPES,
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "GET",
        _RESOURCE,
        get_resource,
        READ,
        reply=ResourceResponse,
        summary="Get calendar resource",
        choices=_TYPES,
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _RESOURCE,
        update_resource,
        WRITE,
        body=UpdateResource,
        reply=UpdatedResourceResponse,
        summary="Update calendar resource",
        description="Appointments keep the resources that they have.",
        choices=_TYPES,
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _RESOURCE,
        delete_resource,
        WRITE,
        reply=SuccessResponse,
        summary="Delete calendar resource",
        choices=_TYPES,
        refusals=(NotFound,),
    ),
)
