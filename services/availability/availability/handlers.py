"""Keeping the read model: each event's state replaces what was known of its aggregate."""

from availability import domain, store
from availability.domain import Kind, Occupancy
from hoop_events import (
    AppointmentEvent,
    BlockSlotChanged,
    BlockSlotDeleted,
    CalendarChanged,
    CalendarDeleted,
    Event,
    ExternalBusyChanged,
    HoldChanged,
    HoldDeleted,
    ResourceChanged,
    ResourceDeleted,
    ScheduleChanged,
    ScheduleDeleted,
)
from shared.db import Connection


async def appointment_told(db: Connection, event: AppointmentEvent) -> None:
    await _keep(db, event, domain.of_appointment(event.state))


async def hold_changed(db: Connection, event: HoldChanged) -> None:
    await _keep(db, event, domain.of_hold(event.state))


async def hold_deleted(db: Connection, event: HoldDeleted) -> None:
    await _nothing(db, event, "h")


async def block_slot_changed(db: Connection, event: BlockSlotChanged) -> None:
    await _keep(db, event, domain.of_block_slot(event.state))


async def block_slot_deleted(db: Connection, event: BlockSlotDeleted) -> None:
    await _nothing(db, event, "b")


async def busy_changed(db: Connection, event: ExternalBusyChanged) -> None:
    await _keep(db, event, domain.of_week(event.state))


async def calendar_changed(db: Connection, event: CalendarChanged) -> None:
    hosts = domain.hosts_of(event.state.id, event.state.settings)
    await store.keep_calendar(db, event.account_id, event.state, hosts=hosts)


async def calendar_deleted(db: Connection, event: CalendarDeleted) -> None:
    await store.drop_calendar(db, event.account_id, event.state.id, store.versions(event.state))


async def schedule_changed(db: Connection, event: ScheduleChanged) -> None:
    await store.keep_document(db, "schedule", event.account_id, event.state)


async def schedule_deleted(db: Connection, event: ScheduleDeleted) -> None:
    await store.drop_document(db, "schedule", event.account_id, event.state)


async def resource_changed(db: Connection, event: ResourceChanged) -> None:
    await store.keep_document(db, "asset", event.account_id, event.state)


async def resource_deleted(db: Connection, event: ResourceDeleted) -> None:
    await store.drop_document(db, "asset", event.account_id, event.state)


async def _keep(db: Connection, event: Event, occupancy: Occupancy) -> None:
    await store.keep(db, event.account_id, occupancy, store.versions(event.state))


async def _nothing(db: Connection, event: Event, kind: Kind) -> None:
    gone = Occupancy(kind, event.subject)
    await store.keep(db, event.account_id, gone, store.versions(event.state))
