"""What is booked for a contact. Contacts themselves are the accounts service's."""

from typing import Annotated, Any

from pydantic import Field

from booking.api.events import LAST_MS, AppointmentsListed, page, place
from booking.api.shown import shown_appointment
from booking.store import events as store
from hoop_platform.errors import NotFound
from hoop_platform.http.parse import Query
from hoop_platform.http.route import Call, Route
from hoop_scheduling.zones import utc_datetime

LAST: store.Place = (utc_datetime(LAST_MS), "v" * 25 + "s")
"""After every appointment there can be."""


class ContactAsked(Query):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: str | None = Field(None, description="The last answer's `nextCursor`.")


async def contact_appointments(call: Call) -> dict[str, Any]:
    """On all calendars, the latest start first; cancelled ones, too."""
    query: ContactAsked = call.query
    contact_id = call.id("contactId")
    before = place(query.cursor) or LAST
    call.reach(await _location(call, contact_id))
    found = await store.of_contact(
        call.runtime.db, call.account_id, contact_id, before=before, limit=query.limit + 1
    )
    return page(found, query.limit, shown_appointment)


async def _location(call: Call, contact_id: str) -> str | None:
    """Where the contact is; one made a moment ago elsewhere is waited for."""
    found = await store.contact_location(call.runtime.db, call.account_id, contact_id)
    if found is None and await call.runtime.catch_up():
        found = await store.contact_location(call.runtime.db, call.account_id, contact_id)
    return found


ROUTES = (
    Route(
        "GET",
        "/contacts/{contactId}/appointments",
        contact_appointments,
        "calendars/events.readonly",
        query=ContactAsked,
        reply=AppointmentsListed,
        summary="Get appointments of a contact",
        refusals=(NotFound,),
    ),
)
