"""Appointment events: the current state is stored, and a message is desired for each receiver who lacks one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from hoop_events.booking import Appointment, AppointmentEvent
from hoop_platform.db.database import Tx
from hoop_platform.ids import is_id
from hoop_platform.reconcile.desired_state import DesiredState, desire
from notifications.domain.outcomes import assume_delivered
from notifications.domain.threads import (
    Thread,
    apply_event,
    new_thread,
    pending_notice,
    receivers,
)
from notifications.store import notification_settings, threads
from notifications.store.threads import ThreadKey

KIND = "mail"
PROVIDER = "smtp"


async def on_appointment_changed(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Store the state, and desire a message in each thread that has a pending notice."""
    account_id, state = event.account_id, event.state
    before = await threads.lock_appointment(db, account_id, state.id)
    await threads.upsert_appointment(db, account_id, state)
    for receiver_id, thread in (await _threads(db, account_id, before, state)).items():
        key = ThreadKey(account_id, state.id, receiver_id)
        after = apply_event(thread, before, event)
        pending = pending_notice(assume_delivered(after), state)
        await threads.upsert_thread(db, key, after, pending=pending)
        if pending:
            await desire(db, _desired_state(key, state))


async def _threads(
    db: Tx, account_id: str, before: Appointment | None, state: Appointment
) -> Mapping[str, Thread]:
    """The threads of all present and former receivers, by receiver id.

    An assigned user whom a setting names, too, is notified as the assigned user.
    """
    rules = await notification_settings.get_rules(db, account_id, state.calendar_id)
    roles = receivers(state)
    existing = await threads.list_threads(db, account_id, state.id)
    existing |= {
        id_: replace(existing[id_], role=role) for id_, role in roles.items() if id_ in existing
    }
    present = {**rules.extra_receivers, **roles}
    return {id_: new_thread(role, id_, before) for id_, role in present.items()} | existing


def _desired_state(key: ThreadKey, state: Appointment) -> DesiredState:
    """One desired state per thread; the receiver as provider user keeps a receiver's mails in order."""
    return DesiredState(
        account_id=key.account_id,
        kind=KIND,
        subject=key.subject,
        provider=PROVIDER,
        provider_user=key.receiver_id,
        due_start=state.start_time,
        desired={"appointmentId": key.appointment_id, "receiverId": key.receiver_id},
        sequence=state.sequence,
    )


async def on_appointment_tombstone(db: Tx, appointment_id: str) -> None:
    """Delete the appointment, its threads, messages and desired states."""
    if is_id(appointment_id):
        deleted = await threads.delete_appointment(db, appointment_id)
        await threads.delete_desired_states(db, deleted)
