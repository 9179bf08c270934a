"""Booking over HTTP."""

from booking.api import (
    appointments,
    blocks,
    calendars,
    connections,
    contacts,
    document,
    events,
    groups,
    holds,
    notes,
    resources,
    schedules,
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
        *blocks.ROUTES,
        *users.ROUTES,
        *events.ROUTES,
        *contacts.ROUTES,
        *notes.ROUTES,
        *document.ROUTES,
    )
)
