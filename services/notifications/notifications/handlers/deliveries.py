"""The steps of a delivery: decide about the next message of a thread, and record the outcome."""

from collections.abc import Callable
from datetime import datetime, timedelta

from hoop_events.booking import Appointment
from hoop_events.effects import Message, NotificationFailed, NotificationSent
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce
from notifications.domain import outcomes
from notifications.domain.message import NotificationContext, Receiver
from notifications.domain.next_action import NextAction, NoAction, ThreadSnapshot, next_action
from notifications.domain.threads import FINAL, Thread, ThreadMessage, pending_notice
from notifications.store import calendars, notification_settings, receivers, threads
from notifications.store.threads import ThreadKey


async def decide_next_action(
    db: Tx, key: ThreadKey, *, message_id: str, now: datetime, link_wait: timedelta
) -> NextAction:
    """Decide what to do in a thread now, and store it: a message to send is in flight from here on.

    `message_id` is for a message that has none yet.
    """
    state, thread = await _lock_thread(db, key)
    if state is None or thread is None:
        return NoAction()
    resolved = outcomes.resolve_in_flight(thread, state, now=now)
    receiver, context = await _receiver_and_context(db, key, resolved, state)
    snapshot = ThreadSnapshot(
        state=state,
        thread=resolved,
        receiver=receiver,
        context=context,
        pending_for=await threads.get_pending_time(db, key),
        link_wait=link_wait,
        message_id=message_id,
        now=now,
        rules=await notification_settings.get_rules(db, key.account_id, state.calendar_id),
    )
    after, action = next_action(snapshot)
    await _save(db, key, thread, after, state, now=now)
    return action


async def _lock_thread(db: Tx, key: ThreadKey) -> tuple[Appointment | None, Thread | None]:
    """The appointment's state and the thread; None for what does not exist (any more)."""
    state = await threads.lock_appointment(db, key.account_id, key.appointment_id)
    existing = await threads.list_threads(db, key.account_id, key.appointment_id)
    return state, existing.get(key.receiver_id)


async def _receiver_and_context(
    db: Tx, key: ThreadKey, thread: Thread, state: Appointment
) -> tuple[Receiver | None, NotificationContext]:
    receiver = await receivers.get_receiver(db, key.account_id, thread.role, key.receiver_id)
    contact = await receivers.get_receiver(db, key.account_id, "contact", state.contact_id)
    host = await receivers.get_receiver(db, key.account_id, "user", state.assigned_user_id)
    context = await calendars.get_context(
        db,
        key.account_id,
        state,
        contact=contact.name if contact else "",
        host=host.name if host else "",
    )
    return receiver, context


async def record_delivered(db: Tx, key: ThreadKey, message_id: str, *, now: datetime) -> None:
    """The mail server has accepted the message."""
    await _record(db, key, lambda thread: outcomes.delivered(thread, message_id), now=now)


async def record_deferred(
    db: Tx, key: ThreadKey, message_id: str, reason: str, *, now: datetime
) -> None:
    """The mail server has not accepted the message this time."""
    await _record(db, key, lambda thread: outcomes.deferred(thread, message_id, reason), now=now)


async def record_rejected(
    db: Tx, key: ThreadKey, message_id: str, reason: str, *, now: datetime
) -> None:
    """The mail server has refused the message for good."""
    await _record(db, key, lambda thread: outcomes.rejected(thread, message_id, reason), now=now)


async def record_doubtful(
    db: Tx, key: ThreadKey, message_id: str, reason: str, *, now: datetime
) -> None:
    """The last attempt got no response, either: the message may have been delivered."""
    await _record(db, key, lambda thread: outcomes.doubtful(thread, message_id, reason), now=now)


async def _record(
    db: Tx, key: ThreadKey, outcome: Callable[[Thread], Thread], *, now: datetime
) -> None:
    state, thread = await _lock_thread(db, key)
    if state is not None and thread is not None:
        await _save(db, key, thread, outcome(thread), state, now=now)


async def _save(
    db: Tx, key: ThreadKey, before: Thread, after: Thread, state: Appointment, *, now: datetime
) -> None:
    """Store what has changed, and announce the final statuses of messages."""
    if after == before:
        return
    pending = pending_notice(outcomes.assume_delivered(after), state)
    await threads.upsert_thread(db, key, after, pending=pending)
    changed = [message for message in after.messages if message not in before.messages]
    # Messages that end come first: only one message of a thread may be under way.
    for message in sorted(changed, key=lambda m: m.status in ("waiting", "sending")):
        await _save_message(db, key, message, now=now)


async def _save_message(db: Tx, key: ThreadKey, message: ThreadMessage, *, now: datetime) -> None:
    sequence = await threads.upsert_message(db, key, message)
    if message.status not in FINAL:
        return
    event = NotificationSent if message.status == "sent" else NotificationFailed
    state = Message(
        id=message.id,
        sequence=sequence,
        appointment_id=key.appointment_id,
        occasion=message.occasion.name,
        receiver_id=key.receiver_id,
        reason=message.reason,
    )
    await announce(db, event(account_id=key.account_id, state=state), now=now)
