"""The notifications service: its routes, the events it handles and announces, and its jobs."""

from hoop_events.accounts import (
    ContactChanged,
    ContactDeleted,
    LocationChanged,
    LocationDeleted,
    UserChanged,
    UserDeleted,
)
from hoop_events.booking import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
)
from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_events.effects import NotificationFailed, NotificationSent
from hoop_platform.service.process import main
from hoop_platform.service.service import Service
from notifications.api import notification_settings
from notifications.config import NotificationsSettings
from notifications.handlers import appointments, projections
from notifications.jobs.background import background_tasks

service = Service(
    "notifications",
    settings=NotificationsSettings,
    routes=notification_settings.ROUTES,
    subscriptions={
        AppointmentCreated: appointments.on_appointment_changed,
        AppointmentRescheduled: appointments.on_appointment_changed,
        AppointmentUpdated: appointments.on_appointment_changed,
        AppointmentDeleted: appointments.on_appointment_changed,
        CalendarChanged: projections.on_calendar_changed,
        CalendarDeleted: projections.on_calendar_deleted,
        LocationChanged: projections.on_location_changed,
        LocationDeleted: projections.on_location_deleted,
        ContactChanged: projections.on_contact_changed,
        ContactDeleted: projections.on_contact_deleted,
        UserChanged: projections.on_user_changed,
        UserDeleted: projections.on_user_deleted,
    },
    announces=(NotificationSent, NotificationFailed),
    tombstones={
        "appointments": appointments.on_appointment_tombstone,
        "calendars": projections.on_calendar_tombstone,
        "locations": projections.on_location_tombstone,
        "contacts": projections.on_contact_tombstone,
        "users": projections.on_user_tombstone,
    },
    jobs=background_tasks,
)

if __name__ == "__main__":
    main(service)
