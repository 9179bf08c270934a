"""Availability: follows what is booked, and answers which slots are free."""

from availability import handlers
from availability.api import ROUTES
from availability.config import AvailabilitySettings
from hoop_events import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
    CalendarChanged,
    CalendarDeleted,
    ExternalBusyChanged,
)
from shared.service import Service, main

service = Service(
    "availability",
    settings=AvailabilitySettings,
    routes=ROUTES,
    subscriptions={
        AppointmentCreated: handlers.appointment_told,
        AppointmentRescheduled: handlers.appointment_told,
        AppointmentUpdated: handlers.appointment_told,
        AppointmentDeleted: handlers.appointment_told,
        CalendarChanged: handlers.calendar_changed,
        CalendarDeleted: handlers.calendar_deleted,
        ExternalBusyChanged: handlers.busy_changed,
    },
)

if __name__ == "__main__":
    main(service)
