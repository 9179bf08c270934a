"""The operations on rooms and equipment."""

from typing import Annotated, Any

from pydantic import Field

from booking.api.documents import (
    Kept,
    Success,
    begun,
    delete_once,
    found,
    known_ids,
    sent,
    written,
)
from booking.api.models import Count, InLocation, Name, Some
from booking.domain.documents import MOST_CALENDARS, RESOURCE_TYPES, check_immutable
from booking.handlers import resources as handlers
from booking.store.documents import resources
from hoop_events.calendars import Resource
from hoop_platform.auth import location_zone
from hoop_platform.errors import LocationForbidden, NotFound, invalid
from hoop_platform.http.parse import Body, Text
from hoop_platform.http.route import Call, Reply, Route

Calendars = Annotated[list[str], Field(max_length=MOST_CALENDARS)]


class _ResourceBody(Body):
    description: Text = ""
    quantity: Annotated[Count, Field(description="Units of equipment. For rooms only kept.")] = 1
    out_of_service: Annotated[
        Count, Field(description="Units of equipment that nobody can have. For rooms only kept.")
    ] = 0
    capacity: Annotated[Count, Field(description="People in a room. Only kept, and shown.")] = 1
    calendar_ids: Annotated[
        Calendars, Field(description="Rooms: any calendars. Equipment: one, of type service.")
    ] = []


class CreateResource(_ResourceBody):
    location_id: str
    name: Name


class UpdateResource(_ResourceBody):
    """A patch: the defaults are never used, for a field that was not sent stays as it is."""

    location_id: str | None = Field(None, description="If sent, what it is already.")
    name: Name = ""
    is_active: bool = True


class ResourceUpdated(Kept):
    location_id: str
    name: str
    resource_type: str
    is_active: bool
    description: str
    quantity: int
    out_of_service: int
    capacity: int


class ResourceShown(ResourceUpdated):
    calendar_ids: list[str]


class ResourcesAsked(InLocation, Some):
    pass


async def list_resources(call: Call) -> list[Any]:
    query: ResourcesAsked = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    there = await resources.find(
        call.runtime.db,
        call.account_id,
        {"resourceType": _type(call)},
        location_id=query.location_id,
        limit=query.limit,
        skip=query.skip,
    )
    return [shown(resource) for resource in there]


async def create_resource(call: Call) -> Reply:
    body: CreateResource = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    said = {**body.model_dump(), "calendar_ids": known_ids(body.calendar_ids)}
    resource = Resource(**begun(call), **said, resource_type=_type(call))
    async with call.runtime.db.transaction() as db:
        resource = await handlers.create_resource(db, call.account_id, resource, now=call.now)
    return _written(resource)


async def get_resource(call: Call) -> Reply:
    resource = await _found(call)
    return written(shown(resource), resource.version, {})


async def update_resource(call: Call) -> Reply:
    body: UpdateResource = call.body
    resource = await _found(call)
    check_immutable("locationId", resource.location_id, body.location_id)
    changes = sent(body)
    if "calendar_ids" in changes:
        changes["calendar_ids"] = known_ids(body.calendar_ids)
    async with call.runtime.db.transaction() as db:
        resource = await handlers.change_resource(
            db, call.account_id, resource.id, changes, now=call.now, expected=call.if_match
        )
    return _written(resource, without="calendarIds")


async def delete_resource(call: Call) -> Reply:
    """Delete it: its calendars need it no more."""
    kind, resource_id = _type(call), call.id("id")
    there = await resources.read(call.runtime.db, call.account_id, resource_id)
    if there is not None and there.resource_type != kind:
        raise NotFound
    return await delete_once(call, resources, resource_id, handlers.delete_resource)


def _type(call: Call) -> Any:  # one of the names that the contract allows
    kind = call.path["resourceType"]
    if kind not in RESOURCE_TYPES:
        raise invalid("resourceType", "enum", "must be rooms or equipments", RESOURCE_TYPES)
    return kind


async def _found(call: Call) -> Resource:
    """A room is no piece of equipment: under the other type its id is unknown."""
    kind = _type(call)
    resource: Resource = await found(call, resources, "id")
    if resource.resource_type != kind:
        raise NotFound
    return resource


def shown(resource: Resource) -> dict[str, Any]:
    """The resource object of the API; some of its clients read `_id`."""
    state = resource.model_dump(mode="json", by_alias=True, exclude={"sequence", "versions"})
    return {**state, "_id": resource.id}


def _written(resource: Resource, without: str = "") -> Reply:
    body = {name: value for name, value in shown(resource).items() if name != without}
    return written(body, resource.version, resource.versions)


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
        query=ResourcesAsked,
        reply=list[ResourceShown],
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
        reply=ResourceShown,
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
        reply=ResourceShown,
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
        reply=ResourceUpdated,
        summary="Update calendar resource",
        description="What is booked keeps what it has.",
        choices=_TYPES,
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _RESOURCE,
        delete_resource,
        WRITE,
        reply=Success,
        summary="Delete calendar resource",
        choices=_TYPES,
        refusals=(NotFound,),
    ),
)
