"""The meetings service: its routes, the events it handles and announces, what it reconciles, its tasks."""

from hoop_events.accounts import UserChanged, UserDeleted
from hoop_events.booking import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
)
from hoop_events.effects import ConnectionChanged, MeetingLinkChanged
from hoop_platform.providers.revocation import GRANT, revoke_grants
from hoop_platform.service.process import main
from hoop_platform.service.service import Service
from meetings import api, handlers
from meetings.config import MeetingsSettings
from meetings.jobs.background import background_tasks
from meetings.jobs.connections import reconcile_connection
from meetings.jobs.meetings import MeetingReconciler
from meetings.providers.registry import PROVIDERS

service = Service(
    "meetings",
    settings=MeetingsSettings,
    routes=api.routes,
    subscriptions={
        AppointmentCreated: handlers.on_appointment_changed,
        AppointmentRescheduled: handlers.on_appointment_changed,
        AppointmentUpdated: handlers.on_appointment_changed,
        AppointmentDeleted: handlers.on_appointment_changed,
        UserChanged: handlers.on_user_changed,
        UserDeleted: handlers.on_user_deleted,
    },
    announces=(MeetingLinkChanged, ConnectionChanged),
    tombstones={"appointments": handlers.on_appointment_tombstone},
    reconciles={
        handlers.MEETING: MeetingReconciler,
        handlers.CONNECTION: reconcile_connection,
        GRANT: revoke_grants(lambda runtime, name: PROVIDERS[name].oauth(runtime.settings)),
    },
    jobs=background_tasks,
)

if __name__ == "__main__":
    main(service)
