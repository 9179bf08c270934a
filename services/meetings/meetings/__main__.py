"""The meetings service: one Zoom link for each session that deserves one."""

from hoop_events import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
    ConnectionChanged,
    MeetingLinkChanged,
    UserChanged,
    UserDeleted,
)
from meetings import api, handlers, jobs
from meetings.config import Settings
from shared.service import Service, main

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
