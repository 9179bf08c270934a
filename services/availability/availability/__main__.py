"""Availability: follows what is booked, and answers which slots are free."""

from collections.abc import Mapping

from availability import handlers
from availability.api import ROUTES
from availability.config import AvailabilitySettings
from availability.jobs import commands, jobs
from hoop_events.base import Event
from hoop_events.booking import (
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentRescheduled,
    AppointmentUpdated,
    HoldChanged,
    HoldDeleted,
)
from hoop_events.calendars import (
    BlockSlotChanged,
    BlockSlotDeleted,
    CalendarChanged,
    CalendarDeleted,
    ResourceChanged,
    ResourceDeleted,
    ScheduleChanged,
    ScheduleDeleted,
)
from hoop_events.effects import ExternalBusyChanged
from hoop_platform.kafka.batch import Handler
from hoop_platform.service.process import main
from hoop_platform.service.service import Service

SUBSCRIPTIONS: Mapping[type[Event], Handler] = {
    AppointmentCreated: handlers.appointment_told,
    AppointmentRescheduled: handlers.appointment_told,
    AppointmentUpdated: handlers.appointment_told,
    AppointmentDeleted: handlers.appointment_told,
    CalendarChanged: handlers.calendar_changed,
    CalendarDeleted: handlers.calendar_deleted,
    ScheduleChanged: handlers.schedule_changed,
    ScheduleDeleted: handlers.schedule_deleted,
    ResourceChanged: handlers.resource_changed,
    ResourceDeleted: handlers.resource_deleted,
    BlockSlotChanged: handlers.block_slot_changed,
    BlockSlotDeleted: handlers.block_slot_deleted,
    HoldChanged: handlers.hold_changed,
    HoldDeleted: handlers.hold_deleted,
    ExternalBusyChanged: handlers.busy_changed,
}

service = Service(
    "availability",
    settings=AvailabilitySettings,
    routes=ROUTES,
    subscriptions=SUBSCRIPTIONS,
    jobs=jobs,
    commands=commands(SUBSCRIPTIONS),
)

if __name__ == "__main__":
    main(service)
