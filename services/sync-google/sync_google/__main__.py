"""Sync-google: shows appointments in people's Google calendars, and what is there as busy time."""

from hoop_events.booking import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
)
from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_events.effects import CalendarPushFailed, ConnectionChanged, ExternalBusyChanged
from hoop_platform.service.process import main
from hoop_platform.service.service import Service
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
