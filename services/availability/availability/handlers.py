"""Keeping the read model: each event's state replaces what was known of its aggregate."""

from datetime import datetime

from availability import domain, store
from availability.domain import Kind, Occupancy
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


async def appointment_told(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    await _keep(db, event, domain.of_appointment(event.state))


async def hold_changed(db: Tx, event: HoldChanged, _: datetime) -> None:
    await _keep(db, event, domain.of_hold(event.state))


async def hold_deleted(db: Tx, event: HoldDeleted, _: datetime) -> None:
    await _nothing(db, event, "h")


async def block_slot_changed(db: Tx, event: BlockSlotChanged, _: datetime) -> None:
    await _keep(db, event, domain.of_block_slot(event.state))


async def block_slot_deleted(db: Tx, event: BlockSlotDeleted, _: datetime) -> None:
    await _nothing(db, event, "b")


async def busy_changed(db: Tx, event: ExternalBusyChanged, _: datetime) -> None:
    await _keep(db, event, domain.of_week(event.state))


async def calendar_changed(db: Tx, event: CalendarChanged, _: datetime) -> None:
    hosts = domain.hosts_of(event.state.id, event.state.settings)
    await store.keep_calendar(db, event.account_id, event.state, hosts=hosts)


async def calendar_deleted(db: Tx, event: CalendarDeleted, _: datetime) -> None:
    await store.drop_calendar(db, event.account_id, event.state.id, store.versions(event.state))


async def schedule_changed(db: Tx, event: ScheduleChanged, _: datetime) -> None:
    await store.keep_document(db, "schedule", event.account_id, event.state)


async def schedule_deleted(db: Tx, event: ScheduleDeleted, _: datetime) -> None:
    await store.drop_document(db, "schedule", event.account_id, event.state)


async def resource_changed(db: Tx, event: ResourceChanged, _: datetime) -> None:
    await store.keep_document(db, "asset", event.account_id, event.state)


async def resource_deleted(db: Tx, event: ResourceDeleted, _: datetime) -> None:
    await store.drop_document(db, "asset", event.account_id, event.state)


async def _keep(db: Tx, event: Event, occupancy: Occupancy) -> None:
    await store.keep(db, event.account_id, occupancy, store.versions(event.state))


async def _nothing(db: Tx, event: Event, kind: Kind) -> None:
    gone = Occupancy(kind, event.subject)
    await store.keep(db, event.account_id, gone, store.versions(event.state))
