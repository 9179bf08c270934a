"""The lists of provider connections, from the projection of the `connections` topic."""

from typing import Any

from booking.store.calendars import get_calendar, list_connection_owners
from booking.store.projections import list_connections
from hoop_events.effects import Connection
from hoop_platform.errors import NotFound
from hoop_platform.http.parse import StrictQuery
from hoop_platform.http.route import Call, ResponseModel, Route


class NoQuery(StrictQuery):
    """The lists of connections have no parameters."""


class IntegrationListResponse(ResponseModel):
    integrations: list[Connection]


class ConnectionListResponse(ResponseModel):
    connections: list[Connection]


async def list_integrations(call: Call[None, NoQuery]) -> dict[str, Any]:
    """All connections of the account; for an API key of some locations, those of their calendars."""
    database, locations = call.runtime.db, call.caller.location_ids
    owners = None
    if locations:
        owners = await list_connection_owners(database, call.account_id, locations)
    return {"integrations": await list_connections(database, call.account_id, owners)}


async def calendar_connections(call: Call[None, NoQuery]) -> dict[str, Any]:
    """The connections of a calendar and of its members."""
    found = await get_calendar(call.runtime.db, call.account_id, call.id("calendarId"))
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    owners = [found.id, *found.hosts]
    return {"connections": await list_connections(call.runtime.db, call.account_id, owners)}


ROUTES = (
    Route(
        "GET",
        "/integrations",
        list_integrations,
        "calendars.readonly",
        query=NoQuery,
        reply=IntegrationListResponse,
        summary="List integrations",
        description="An API key of some locations is shown the connections of their calendars"
        " and of the members of these.",
    ),
    Route(
        "GET",
        "/calendars/{calendarId}/connections",
        calendar_connections,
        "calendars.readonly",
        query=NoQuery,
        reply=ConnectionListResponse,
        summary="Get calendar connections",
        refusals=(NotFound,),
    ),
)
