"""Appointment events: the current state is stored, and a message is desired for each receiver who lacks one."""

from collections.abc import Mapping
from datetime import datetime

from hoop_events.booking import Appointment, AppointmentEvent
from hoop_platform.db.database import Tx
from hoop_platform.ids import is_id
from hoop_platform.reconcile.desired_state import DesiredState
from hoop_platform.reconcile.work import desire
from notifications.domain.history import assume_delivered
from notifications.domain.threads import (
    Occasion,
    apply_event,
    new_thread,
    pending_notice,
    receivers,
)
from notifications.store import threads
from notifications.store.threads import LockedAppointment, LockedThread, ThreadKey

MAIL = "mail"
PROVIDER = "smtp"


async def on_appointment_changed(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Store the state, and desire a message in each thread that has a pending notice.

    Also where an attempt is due or under way: it may be about the former state.
    """
    account_id, state = event.account_id, event.state
    locked = await threads.lock_appointment(db, account_id, state)
    after, desired = [], []
    for receiver_id, known in _threads(locked, state).items():
        thread = apply_event(known.thread, locked.state, event)
        pending = pending_notice(assume_delivered(thread), state)
        after.append((thread, pending))
        if pending or known.is_open:
            key = ThreadKey(account_id, state.id, receiver_id)
            desired.append(_desired_state(key, state, pending))
    await threads.store_appointment(db, account_id, state, after)
    await desire(db, *desired)


def _threads(locked: LockedAppointment, state: Appointment) -> Mapping[str, LockedThread]:
    """The threads of all present and former receivers, by receiver id.

    An assigned user whom a setting names, too, is notified as the assigned user.
    """
    roles = receivers(state)
    existing = {
        id_: known.with_role(roles.get(id_, known.thread.role))
        for id_, known in locked.threads.items()
    }
    present = {**locked.rules.extra_receivers, **roles}
    new = {id_: LockedThread(new_thread(role, id_, locked.state)) for id_, role in present.items()}
    return {**new, **existing}


def _desired_state(key: ThreadKey, state: Appointment, pending: Occasion | None) -> DesiredState:
    """One desired state per thread; the receiver as provider user keeps a receiver's mails in order."""
    return DesiredState(
        account_id=key.account_id,
        kind=MAIL,
        subject=key.subject,
        provider=PROVIDER,
        provider_user=key.receiver_id,
        due_start=state.start_time,
        desired={"occasion": pending.name if pending else None},
        sequence=state.sequence,
    )


async def on_appointment_tombstone(db: Tx, appointment_id: str) -> None:
    """Delete the appointment, its threads, messages and desired states."""
    if is_id(appointment_id):
        await threads.delete_appointment(db, appointment_id)
