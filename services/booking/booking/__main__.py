"""The booking service: decides on appointments, and announces them."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime

from booking.api.routes import ROUTES
from booking.config import BookingSettings
from booking.handlers import projections
from booking.handlers.inspect import audit, dump
from booking.handlers.users import on_user_deleted
from booking.jobs import jobs
from booking.store.database import BookingDatabase
from hoop_events.accounts import ContactChanged, ContactDeleted, UserChanged, UserDeleted
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
    CalendarGroupChanged,
    CalendarGroupDeleted,
    ResourceChanged,
    ResourceDeleted,
    ScheduleChanged,
    ScheduleDeleted,
)
from hoop_events.effects import ConnectionChanged, ExternalBusyChanged, MeetingLinkChanged
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database
from hoop_platform.service.process import main
from hoop_platform.service.service import Service


async def write_dump(settings: BookingSettings, argv: Sequence[str]) -> int:
    """`dump --canonical [--at 2027-03-01T09:00:00Z]`: what takes time, for `availability verify`."""
    parser = argparse.ArgumentParser("booking dump", description=write_dump.__doc__)
    parser.add_argument("--canonical", action="store_true", required=True, help="the one format")
    parser.add_argument(
        "--at", type=datetime.fromisoformat, help="the instant; expired holds do not count"
    )
    arguments = parser.parse_args(argv)
    database = await _open(settings)
    try:
        at = arguments.at or Clock(settings.clock_offset_file).now()
        sys.stdout.buffer.write(await dump(database, at=at))
    finally:
        await database.close()
    return 0


async def verify(settings: BookingSettings, argv: Sequence[str]) -> int:
    """`verify`: print the violated invariants; exit status 1 if there are any."""
    argparse.ArgumentParser("booking verify", description=verify.__doc__).parse_args(argv)
    database = await _open(settings)
    try:
        violations = await audit(database)
    finally:
        await database.close()
    sys.stdout.writelines(f"{line}\n" for line in violations or ["nothing wrong"])
    return 1 if violations else 0


async def _open(settings: BookingSettings) -> Database:
    return await Database.open(
        settings.database_url.get_secret_value(), name="booking", pool_size=1
    )


service = Service(
    "booking",
    settings=BookingSettings,
    routes=ROUTES,
    subscriptions={
        UserChanged: projections.on_user_changed,
        UserDeleted: on_user_deleted,
        ContactChanged: projections.on_contact_changed,
        ContactDeleted: projections.on_contact_deleted,
        ConnectionChanged: projections.on_connection_changed,
        ExternalBusyChanged: projections.on_external_busy_changed,
        MeetingLinkChanged: projections.on_meeting_link_changed,
    },
    announces=(
        CalendarChanged,
        CalendarDeleted,
        CalendarGroupChanged,
        CalendarGroupDeleted,
        ScheduleChanged,
        ScheduleDeleted,
        ResourceChanged,
        ResourceDeleted,
        BlockSlotChanged,
        BlockSlotDeleted,
        HoldChanged,
        HoldDeleted,
        AppointmentCreated,
        AppointmentRescheduled,
        AppointmentUpdated,
        AppointmentDeleted,
    ),
    jobs=jobs,
    commands={"dump": write_dump, "verify": verify},
    database=BookingDatabase,
)

if __name__ == "__main__":
    main(service)
