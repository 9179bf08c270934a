"""Keeping the read model: each event's state replaces what was known of its aggregate."""

from availability import store
from hoop_events import AppointmentEvent, CalendarChanged, CalendarDeleted, ExternalBusyChanged
from shared.db import Connection


async def appointment_told(db: Connection, event: AppointmentEvent) -> None:
    await store.keep_appointment(db, event.account_id, event.state)


async def calendar_changed(db: Connection, event: CalendarChanged) -> None:
    members = event.state.settings.get("teamMembers")
    hosts = (
        [str(m["userId"]) for m in members if isinstance(m, dict)]
        if isinstance(members, list)
        else []
    )
    await store.keep_calendar(db, event.account_id, event.state, hosts=hosts or [event.state.id])


async def calendar_deleted(db: Connection, event: CalendarDeleted) -> None:
    await store.drop_calendar(db, event.account_id, event.state.id)


async def busy_changed(db: Connection, event: ExternalBusyChanged) -> None:
    await store.keep_busy(db, event.account_id, event.state)
