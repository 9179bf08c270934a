"""The routes of booking."""

from booking.api import (
    appointments,
    block_slots,
    calendar_events,
    calendars,
    connections,
    contacts,
    groups,
    holds,
    notes,
    openapi,
    reassignments,
    resources,
    schedules,
    sessions,
    users,
)
from booking.api.examples import with_examples

ROUTES = with_examples(
    (
        *calendars.ROUTES,
        *appointments.ROUTES,
        *holds.ROUTES,
        *connections.ROUTES,
        *groups.ROUTES,
        *resources.ROUTES,
        *schedules.ROUTES,
        *block_slots.ROUTES,
        *users.ROUTES,
        *reassignments.ROUTES,
        *calendar_events.ROUTES,
        *sessions.ROUTES,
        *contacts.ROUTES,
        *notes.ROUTES,
        *openapi.ROUTES,
    )
)
