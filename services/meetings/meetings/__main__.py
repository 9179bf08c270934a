"""The meetings service: one Zoom link for each session that deserves one."""

from hoop_events.accounts import UserChanged, UserDeleted
from hoop_events.booking import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
)
from hoop_events.effects import ConnectionChanged, MeetingLinkChanged
from hoop_platform.service.process import main
from hoop_platform.service.service import Service
from meetings import api, handlers, jobs
from meetings.config import Settings

service = Service(
    "meetings",
    settings=Settings,
    routes=api.routes,
    subscriptions={
        AppointmentCreated: handlers.take_seat,
        AppointmentRescheduled: handlers.take_seat,
        AppointmentUpdated: handlers.take_seat,
        AppointmentDeleted: handlers.take_seat,
        UserChanged: handlers.add_user,
        UserDeleted: handlers.remove_user,
    },
    announces=(MeetingLinkChanged, ConnectionChanged),
    tombstones={"appointments": handlers.forget_appointment},
    jobs=jobs.jobs,
)

if __name__ == "__main__":
    main(service)
