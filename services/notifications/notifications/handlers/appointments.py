"""Appointment events: the current state is stored, and a message is desired for each receiver who lacks one."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol, runtime_checkable

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
class MailWaiting(Protocol):
    """A worker that knows how long a mail waits for its link, and for other occurrences of a series."""

    link_wait: timedelta
    series_wait: timedelta


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
            key = ThreadKey.of_appointment(account_id, state, receiver_id)
            wait = _wait(known, pending, state, waits=_waits(db), now=now)
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
    new = {
        id_: LockedThread(new_thread(role, id_, locked.state, appointment_id=state.id))
        for id_, role in present.items()
    }
    return {**new, **existing}


class _Waits(NamedTuple):
    link: timedelta = timedelta()
    series: timedelta = timedelta()


def _waits(db: Tx) -> _Waits:
    """How long a mail waits; not at all in a process that delivers none, for it cannot know."""
    workers = (w for w in database_of(db).workers if isinstance(w, MailWaiting))
    return next((_Waits(w.link_wait, w.series_wait) for w in workers), _Waits())


def _wait(
    known: LockedThread,
    pending: Occasion | None,
    state: Appointment,
    *,
    waits: _Waits,
    now: datetime,
) -> timedelta | None:
    """How long the attempt is postponed while the link is being made; the event that brings it ends that.

    A mail about a series is postponed a little, too: one mail tells of all occurrences. The attempt
    itself decides how long the mail waits; this saves the attempts that would only wait.
    """
    if pending is None or known.thread.in_flight is not None:
        return None
    passed = known.pending_for if pending.name == known.pending_occasion else timedelta()
    left = waits.link - passed
    if left > timedelta() and waits_for_link(pending, state, left, now=now):
        return left
    rest = waits.series - passed
    return rest if state.series is not None and rest > timedelta() else None


def _desired_state(
    key: ThreadKey, state: Appointment, pending: Occasion | None, *, wait: timedelta | None
) -> DesiredState:
    """One desired state per conversation; the receiver as provider user keeps a receiver's mails in order.

    The occurrences of a series count their events each by itself: any of them makes an attempt due.
    """
    desired: dict[str, Any] = {"occasion": pending.name if pending else None}
    if state.series is not None:
        desired |= {"appointment": state.id, "sequence": state.sequence}
    return DesiredState(
        account_id=key.account_id,
        kind=MAIL,
        subject=key.subject,
        provider=PROVIDER,
        provider_user=key.receiver_id,
        due_start=state.start_time,
        desired=desired,
        sequence=None if state.series else state.sequence,
        wait=wait,
    )


async def on_appointment_tombstone(db: Tx, appointment_id: str) -> None:
    """Delete the appointment, its threads, messages and desired states."""
    if is_id(appointment_id):
        await threads.delete_appointment(db, appointment_id)
