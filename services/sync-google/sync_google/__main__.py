"""Sync-google: writes appointments into Google calendars, and announces foreign events as busy time."""

from hoop_events.accounts import UserDeleted
from hoop_events.booking import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
)
from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_events.effects import CalendarPushFailed, ConnectionChanged, ExternalBusyChanged
from hoop_platform.providers.revocation import GRANT, revoke_grants
from hoop_platform.service.process import main
from hoop_platform.service.service import Service
from sync_google.api import INTEGRATION
from sync_google.config import Settings
from sync_google.domain.identifiers import CONNECTION_KIND, EVENT_KIND, FEED_KIND
from sync_google.handlers.appointments import on_appointment_changed, on_appointment_tombstone
from sync_google.handlers.connections import (
    on_calendar_changed,
    on_calendar_deleted,
    on_user_deleted,
)
from sync_google.jobs.connections import reconcile_connection
from sync_google.jobs.events import EventReconciler
from sync_google.jobs.pull import pull_feed

CONCURRENCY = 12
"""Pushes and lists at a time: a list of many pages takes a place for half a minute."""


service = Service(
    "sync-google",
    settings=Settings,
    routes=INTEGRATION.routes(),
    subscriptions={
        AppointmentCreated: on_appointment_changed,
        AppointmentRescheduled: on_appointment_changed,
        AppointmentUpdated: on_appointment_changed,
        AppointmentDeleted: on_appointment_changed,
        CalendarChanged: on_calendar_changed,
        CalendarDeleted: on_calendar_deleted,
        UserDeleted: on_user_deleted,
    },
    announces=(ExternalBusyChanged, CalendarPushFailed, ConnectionChanged),
    tombstones={"appointments": on_appointment_tombstone},
    reconciles={
        EVENT_KIND: EventReconciler,
        CONNECTION_KIND: reconcile_connection,
        FEED_KIND: pull_feed,
        GRANT: revoke_grants(lambda runtime, _: INTEGRATION.provider(runtime)),
    },
    concurrency=CONCURRENCY,
)

if __name__ == "__main__":
    main(service)
