"""The notifications service: what it serves, listens to, forgets, and works on."""

from collections.abc import Sequence

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
from hoop_platform.reconcile.worker import Worker
from hoop_platform.runtime import Runtime
from hoop_platform.service.process import main
from hoop_platform.service.service import BackgroundTask, Service
from notifications import api, handlers
from notifications.config import NotificationsSettings
from notifications.jobs import deliver


def jobs(runtime: Runtime) -> Sequence[BackgroundTask]:
    """What runs beside the listening: the delivery of mail."""
    hands = runtime.settings.mail_hands
    return [Worker(handlers.KIND, runtime.db, runtime, deliver, concurrency=hands).run]


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
