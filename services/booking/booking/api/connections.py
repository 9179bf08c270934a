"""What is connected: both lists are answered here, from the `connections` topic."""

from typing import Any

from booking.store import calendars, known
from hoop_events.effects import Connection
from hoop_platform.errors import NotFound
from hoop_platform.http.route import Call, ResponseModel, Route


class Integrations(ResponseModel):
    integrations: list[Connection]


class Connections(ResponseModel):
    connections: list[Connection]


async def list_connections(call: Call) -> dict[str, Any]:
    """Everything that is connected in the account; to a key of some locations, in their calendars."""
    database, locations = call.runtime.db, call.caller.location_ids
    owners = None
    if locations:
        owners = await calendars.owners_in(database, call.account_id, locations)
    return {"integrations": await known.connections(database, call.account_id, owners)}


async def calendar_connections(call: Call) -> dict[str, Any]:
    """What is connected to a calendar and to its members."""
    found = await calendars.calendar(call.runtime.db, call.account_id, call.id("calendarId"))
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    owners = [found.id, *found.hosts]
    return {"connections": await known.connections(call.runtime.db, call.account_id, owners)}


ROUTES = (
    Route(
        "GET",
        "/integrations",
        list_connections,
        "calendars.readonly",
        reply=Integrations,
        summary="Integrations",
        description="A key that is confined to locations is shown what is connected to their calendars"
        " and to the members of these.",
    ),
    Route(
        "GET",
        "/calendars/{calendarId}/connections",
        calendar_connections,
        "calendars.readonly",
        reply=Connections,
        summary="Get calendar connections",
        refusals=(NotFound,),
    ),
)
