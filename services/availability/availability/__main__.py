"""Availability: a read model of what is occupied, and the free slots of each calendar."""

from collections.abc import Mapping
from functools import partial

from availability import handlers
from availability.api import ROUTES
from availability.config import AvailabilitySettings
from availability.jobs import commands
from availability.jobs.notify_listener import background_tasks
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
    AppointmentCreated: handlers.on_appointment_changed,
    AppointmentRescheduled: handlers.on_appointment_changed,
    AppointmentUpdated: handlers.on_appointment_changed,
    AppointmentDeleted: handlers.on_appointment_changed,
    CalendarChanged: handlers.on_calendar_changed,
    CalendarDeleted: handlers.on_calendar_deleted,
    ScheduleChanged: handlers.on_schedule_changed,
    ScheduleDeleted: handlers.on_schedule_deleted,
    ResourceChanged: handlers.on_resource_changed,
    ResourceDeleted: handlers.on_resource_deleted,
    BlockSlotChanged: handlers.on_block_slot_changed,
    BlockSlotDeleted: handlers.on_block_slot_deleted,
    HoldChanged: handlers.on_hold_changed,
    HoldDeleted: handlers.on_hold_deleted,
    ExternalBusyChanged: handlers.on_external_busy_changed,
}

service = Service(
    "availability",
    settings=AvailabilitySettings,
    routes=ROUTES,
    subscriptions=SUBSCRIPTIONS,
    jobs=background_tasks,
    commands={
        "rebuild": partial(commands.rebuild_read_model, tuple(SUBSCRIPTIONS)),
        "dump": commands.dump,
        "verify": commands.verify,
        "status": partial(commands.status, tuple(SUBSCRIPTIONS)),
    },
)

if __name__ == "__main__":
    main(service)
