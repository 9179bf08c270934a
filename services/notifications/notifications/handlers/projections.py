"""Events and tombstones of calendars, locations, contacts and users: the projections that a mail needs."""

from datetime import datetime

from hoop_events.accounts import (
    ContactChanged,
    ContactDeleted,
    LocationChanged,
    LocationDeleted,
    UserChanged,
    UserDeleted,
)
from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_platform.db.database import Tx
from hoop_platform.ids import is_id
from hoop_platform.reconcile.work import close_circuit
from notifications.domain.message import Receiver, Role
from notifications.handlers.appointments import PROVIDER
from notifications.store import calendars, notification_settings, receivers, threads


async def on_calendar_changed(db: Tx, event: CalendarChanged, _: datetime) -> None:
    name = event.state.settings.get("name")
    name = name if isinstance(name, str) else ""
    await calendars.upsert_calendar(
        db, event.account_id, event.state.id, name=name, location_id=event.state.location_id
    )


async def on_calendar_deleted(db: Tx, event: CalendarDeleted, _: datetime) -> None:
    """Hide the calendar's settings; its name and the settings stay until the tombstone."""
    await calendars.update_calendar_deleted(db, event.account_id, event.subject)


async def on_calendar_tombstone(db: Tx, calendar_id: str) -> None:
    """Delete the calendar, its settings, and the addresses that only these name."""
    if is_id(calendar_id):
        await calendars.delete_calendar(db, calendar_id)
        for account_id, addressee in await notification_settings.delete_settings(db, calendar_id):
            await threads.erase_messages(db, account_id, addressee)


async def on_location_changed(db: Tx, event: LocationChanged, _: datetime) -> None:
    state = event.state
    await calendars.upsert_location(
        db, event.account_id, state.id, name=state.name, time_zone=state.time_zone
    )


async def on_location_deleted(_db: Tx, _event: LocationDeleted, _now: datetime) -> None:
    """Do nothing: messages about cancellations name the location until its tombstone."""


async def on_location_tombstone(db: Tx, location_id: str) -> None:
    if is_id(location_id):
        await calendars.delete_location(db, location_id)


async def on_contact_changed(db: Tx, event: ContactChanged, _: datetime) -> None:
    state, personal = event.state, event.state.personal
    contact = Receiver(state.id, personal.name, personal.email, state.time_zone)
    await receivers.upsert_receiver(db, event.account_id, "contact", contact)
    await close_circuit(db, PROVIDER, state.id)


async def on_contact_deleted(db: Tx, event: ContactDeleted, _: datetime) -> None:
    await _erase(db, event.account_id, "contact", event.subject)


async def on_contact_tombstone(db: Tx, contact_id: str) -> None:
    await _erase_everywhere(db, "contact", contact_id)


async def on_user_changed(db: Tx, event: UserChanged, _: datetime) -> None:
    state = event.state
    user = Receiver(state.id, state.name, state.email, state.time_zone)
    await receivers.upsert_receiver(db, event.account_id, "user", user)
    await close_circuit(db, PROVIDER, state.id)


async def on_user_deleted(db: Tx, event: UserDeleted, _: datetime) -> None:
    await _erase(db, event.account_id, "user", event.subject)


async def on_user_tombstone(db: Tx, user_id: str) -> None:
    await _erase_everywhere(db, "user", user_id)


async def _erase(db: Tx, account_id: str, role: Role, receiver_id: str) -> None:
    """Erase name, address and message contents of a receiver, who gets no more messages."""
    await receivers.upsert_receiver(db, account_id, role, Receiver(receiver_id, erased=True))
    await threads.erase_messages(db, account_id, receiver_id)


async def _erase_everywhere(db: Tx, role: Role, receiver_id: str) -> None:
    """As `_erase`, in every account that has the receiver: a tombstone names no account."""
    if is_id(receiver_id):
        for account_id in await receivers.list_accounts(db, role, receiver_id):
            await _erase(db, account_id, role, receiver_id)
