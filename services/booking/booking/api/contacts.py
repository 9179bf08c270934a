"""The list of a contact's appointments. Contacts themselves belong to the accounts service."""

from typing import Annotated, Any

from pydantic import Field

from booking.api.calendar_events import LAST_MS, AppointmentListResponse, page, position
from booking.api.presenters import present_appointment
from booking.store.calendar_events import Position, list_appointments_of_contact
from booking.store.projections import get_contact_location
from hoop_platform.errors import NotFound
from hoop_platform.http.parse import Query
from hoop_platform.http.route import Call, Route
from hoop_scheduling.zones import utc_datetime

LAST: Position = (utc_datetime(LAST_MS), "v" * 25 + "s")
"""After the last item of any list."""


class ContactAppointmentListQuery(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: str | None = Field(None, description="The `nextCursor` of the last response.")


async def contact_appointments(call: Call[None, ContactAppointmentListQuery]) -> dict[str, Any]:
    """On all calendars, the latest start first; cancelled ones, too."""
    query = call.query
    contact_id = call.id("contactId")
    before = position(query.cursor) or LAST
    database, account_id = call.runtime.db, call.account_id
    location = await call.runtime.known(
        lambda: get_contact_location(database, account_id, contact_id)
    )
    call.reach(location)
    found = await list_appointments_of_contact(
        database, account_id, contact_id, before=before, limit=query.limit + 1
    )
    return page(found, query.limit, present_appointment)


ROUTES = (
    Route(
        "GET",
        "/contacts/{contactId}/appointments",
        contact_appointments,
        "calendars/events.readonly",
        query=ContactAppointmentListQuery,
        reply=AppointmentListResponse,
        summary="Get contact appointments",
        refusals=(NotFound,),
    ),
)
