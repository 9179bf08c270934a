"""Booking: decides who gets which time, and tells everybody."""

from booking.api import ROUTES
from booking.config import BookingSettings
from booking.handlers import followed
from hoop_events import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
    CalendarChanged,
    CalendarDeleted,
    ConnectionChanged,
    ContactChanged,
    ContactDeleted,
    ExternalBusyChanged,
    MeetingLinkChanged,
    UserChanged,
    UserDeleted,
)
from shared.service import Service, main

service = Service(
    "booking",
    settings=BookingSettings,
    routes=ROUTES,
    subscriptions={
        UserChanged: followed.user_changed,
        UserDeleted: followed.user_deleted,
        ContactChanged: followed.contact_changed,
        ContactDeleted: followed.contact_deleted,
        ConnectionChanged: followed.connection_changed,
        ExternalBusyChanged: followed.busy_changed,
        MeetingLinkChanged: followed.link_changed,
    },
    announces=(
        CalendarChanged,
        CalendarDeleted,
        AppointmentCreated,
        AppointmentRescheduled,
        AppointmentUpdated,
        AppointmentDeleted,
    ),
)

if __name__ == "__main__":
    main(service)
