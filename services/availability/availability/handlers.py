"""Event handlers: each event's state replaces the rows of its aggregate."""

from datetime import datetime

from availability import domain
from availability.domain import Kind, SubjectOccupancy, versions_of
from availability.store import calendars, occupancy
from hoop_events.base import Event
from hoop_events.booking import AppointmentEvent, HoldChanged, HoldDeleted
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
from hoop_platform.db.database import Tx


async def on_appointment_changed(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Replace what the appointment occupies; handles all four events of appointments."""
    await _upsert(db, event, domain.appointment_occupancy(event.state))


async def on_hold_changed(db: Tx, event: HoldChanged, _: datetime) -> None:
    await _upsert(db, event, domain.hold_occupancy(event.state))


async def on_hold_deleted(db: Tx, event: HoldDeleted, _: datetime) -> None:
    await _delete(db, event, "h")


async def on_block_slot_changed(db: Tx, event: BlockSlotChanged, _: datetime) -> None:
    await _upsert(db, event, domain.block_slot_occupancy(event.state))


async def on_block_slot_deleted(db: Tx, event: BlockSlotDeleted, _: datetime) -> None:
    await _delete(db, event, "b")


async def on_external_busy_changed(db: Tx, event: ExternalBusyChanged, _: datetime) -> None:
    await _upsert(db, event, domain.busy_week_occupancy(event.state))


async def on_calendar_changed(db: Tx, event: CalendarChanged, _: datetime) -> None:
    await calendars.upsert_calendar(db, event.account_id, event.state)


async def on_calendar_deleted(db: Tx, event: CalendarDeleted, _: datetime) -> None:
    await calendars.delete_calendar(db, event.account_id, event.state)


async def on_schedule_changed(db: Tx, event: ScheduleChanged, _: datetime) -> None:
    await calendars.upsert_schedule(db, event.account_id, event.state)


async def on_schedule_deleted(db: Tx, event: ScheduleDeleted, _: datetime) -> None:
    await calendars.delete_schedule(db, event.account_id, event.state)


async def on_resource_changed(db: Tx, event: ResourceChanged, _: datetime) -> None:
    await calendars.upsert_asset(db, event.account_id, event.state)


async def on_resource_deleted(db: Tx, event: ResourceDeleted, _: datetime) -> None:
    await calendars.delete_asset(db, event.account_id, event.state)


async def _upsert(db: Tx, event: Event, found: SubjectOccupancy) -> None:
    await occupancy.upsert_occupancy(db, event.account_id, found, versions_of(event.state))


async def _delete(db: Tx, event: Event, kind: Kind) -> None:
    await _upsert(db, event, SubjectOccupancy(kind, event.subject))
