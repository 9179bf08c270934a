"""The notifications service: what it serves, listens to, forgets, and works on."""

from collections.abc import Sequence

from hoop_events import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
    CalendarChanged,
    CalendarDeleted,
    ContactChanged,
    ContactDeleted,
    LocationChanged,
    LocationDeleted,
    NotificationFailed,
    NotificationSent,
    UserChanged,
    UserDeleted,
)
from notifications import api, handlers
from notifications.config import NotificationsSettings
from notifications.jobs import deliver
from shared.service import Part, Runtime, Service, main
from shared.work import Worker


def jobs(runtime: Runtime) -> Sequence[Part]:
    """What runs beside the listening: the delivery of mail."""
    hands = runtime.settings.mail_hands
    return [Worker(handlers.KIND, runtime.db, runtime, deliver, hands=hands).run]


service = Service(
    "notifications",
    settings=NotificationsSettings,
    routes=api.ROUTES,
    subscriptions={
        AppointmentCreated: handlers.note_appointment,
        AppointmentRescheduled: handlers.note_appointment,
        AppointmentUpdated: handlers.note_appointment,
        AppointmentDeleted: handlers.note_appointment,
        CalendarChanged: handlers.note_calendar,
        CalendarDeleted: handlers.end_calendar,
        LocationChanged: handlers.note_location,
        LocationDeleted: handlers.keep_name,
        ContactChanged: handlers.note_contact,
        ContactDeleted: handlers.forget_contact,
        UserChanged: handlers.note_user,
        UserDeleted: handlers.forget_user,
    },
    announces=(NotificationSent, NotificationFailed),
    tombstones={
        "appointments": handlers.forget_appointment,
        "calendars": handlers.forget_place("calendar"),
        "locations": handlers.forget_place("location"),
        "contacts": handlers.forget_person("contact"),
        "users": handlers.forget_person("user"),
    },
    jobs=jobs,
)

if __name__ == "__main__":
    main(service)
