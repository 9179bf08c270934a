"""Booking over HTTP."""

from booking.api import appointments, calendars, connections

ROUTES = (*calendars.ROUTES, *appointments.ROUTES, *connections.ROUTES)
