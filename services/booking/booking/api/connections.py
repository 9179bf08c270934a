"""What is connected: both lists are answered here, from the `connections` topic."""

from typing import Any

from booking.store import calendars, known
from shared.errors import NotFound
from shared.http import Call, Route


async def list_connections(call: Call) -> dict[str, Any]:
    """Everything that is connected in the account."""
    return {"integrations": await known.connections(call.runtime.db, call.account_id)}


async def calendar_connections(call: Call) -> dict[str, Any]:
    """What is connected to a calendar and to its members."""
    found = await calendars.calendar(call.runtime.db, call.account_id, call.id("calendarId"))
    if found is None:
        raise NotFound
    owners = [found.id, *found.hosts]
    return {"connections": await known.connections(call.runtime.db, call.account_id, owners)}


ROUTES = (
    Route("GET", "/integrations", list_connections, "calendars.readonly", summary="Integrations"),
    Route(
        "GET",
        "/calendars/{calendarId}/connections",
        calendar_connections,
        "calendars.readonly",
        summary="Connections of a calendar",
    ),
)
