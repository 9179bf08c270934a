"""Appointment events: the current state is stored, and a message is desired for each receiver who lacks one."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from hoop_events.booking import Appointment, AppointmentEvent
from hoop_platform.db.database import Tx, database_of
from hoop_platform.ids import is_id
from hoop_platform.reconcile.desired_state import DesiredState
from hoop_platform.reconcile.work import desire
from notifications.domain.history import assume_delivered
from notifications.domain.plan import waits_for_link
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


@runtime_checkable
class LinkWaiting(Protocol):
    """A worker that knows how long a mail waits for its link."""

    link_wait: timedelta


async def on_appointment_changed(db: Tx, event: AppointmentEvent, now: datetime) -> None:
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
            wait = _wait(known, pending, state, left=_link_wait(db), now=now)
            if pending and not locked.is_switched_on(thread, pending, state):
                wait = None  # it counts as notified at once
            desired.append(_desired_state(key, state, pending, wait=wait))
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


def _link_wait(db: Tx) -> timedelta:
    """How long a mail waits for its link; zero in a process that delivers none, for it cannot know."""
    workers = database_of(db).workers
    return next((w.link_wait for w in workers if isinstance(w, LinkWaiting)), timedelta())


def _wait(
    known: LockedThread,
    pending: Occasion | None,
    state: Appointment,
    *,
    left: timedelta,
    now: datetime,
) -> timedelta | None:
    """How long the attempt is postponed while the link is being made; the event that brings it ends that.

    The attempt itself decides how long the mail waits; this saves the attempts that would only wait.
    """
    if pending is None or known.thread.in_flight is not None:
        return None
    if pending.name == known.pending_occasion:
        left -= known.pending_for
    waits = left > timedelta() and waits_for_link(pending, state, left, now=now)
    return left if waits else None


def _desired_state(
    key: ThreadKey, state: Appointment, pending: Occasion | None, *, wait: timedelta | None
) -> DesiredState:
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
        wait=wait,
    )


async def on_appointment_tombstone(db: Tx, appointment_id: str) -> None:
    """Delete the appointment, its threads, messages and desired states."""
    if is_id(appointment_id):
        await threads.delete_appointment(db, appointment_id)
