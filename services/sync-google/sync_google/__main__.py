"""Sync-google: shows appointments in people's Google calendars, and what is there as busy time."""

from hoop_events import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
    CalendarChanged,
    CalendarDeleted,
    CalendarPushFailed,
    ConnectionChanged,
    ExternalBusyChanged,
)
from shared.service import Service, main
from sync_google import api, handlers, jobs
from sync_google.config import Settings

service = Service(
    "sync-google",
    settings=Settings,
    routes=api.INTEGRATION.routes(),
    subscriptions={
        AppointmentCreated: handlers.follow_appointment,
        AppointmentRescheduled: handlers.follow_appointment,
        AppointmentUpdated: handlers.follow_appointment,
        AppointmentDeleted: handlers.follow_appointment,
        CalendarChanged: handlers.follow_calendar,
        CalendarDeleted: handlers.forget_calendar,
    },
    announces=(ExternalBusyChanged, CalendarPushFailed, ConnectionChanged),
    tombstones={"appointments": handlers.forget_appointment},
    jobs=jobs.jobs,
)

if __name__ == "__main__":
    main(service)
