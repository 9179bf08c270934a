"""The thread after an attempt to deliver its message: delivered, in doubt, deferred, refused, or switched off.

A function that takes a message id changes nothing unless that message is in flight, so an outcome
may be recorded twice.
"""

from dataclasses import replace
from datetime import datetime

from hoop_events.booking import Appointment
from notifications.domain.threads import NotifiedState, Thread, ThreadMessage, pending_notice


def assume_delivered(thread: Thread) -> Thread:
    """The thread as it is if the message in flight has been delivered."""
    message = thread.in_flight
    if message is None:
        return thread
    expects = thread.expects_appointment or message.notified.is_on
    return replace(thread, notified=message.notified, expects_appointment=expects)


def resolve_in_flight(thread: Thread, state: Appointment, *, now: datetime) -> Thread:
    """Decide about a message in flight whose delivery was not recorded.

    While its content is true it stays in flight, to be sent again; else it becomes `doubtful`.
    """
    message = thread.in_flight
    if message is None:
        return thread
    repeatable = message.content is not None and now < state.end_time
    if repeatable and pending_notice(assume_delivered(thread), state) is None:
        return thread
    return doubtful(thread, message.id, "in_doubt")


def delivered(thread: Thread, message_id: str) -> Thread:
    """The mail server has accepted the message."""
    message = _in_flight(thread, message_id)
    if message is None:
        return thread
    sent = replace(message, status="sent", content=None, address=None, reason=None)
    after = replace(thread, notified=message.notified, expects_appointment=message.notified.is_on)
    return after.with_message(sent)


def doubtful(thread: Thread, message_id: str, reason: str) -> Thread:
    """The message may have been delivered, and is not sent again."""
    message = _in_flight(thread, message_id)
    if message is None:
        return thread
    given_up = replace(message, status="doubtful", content=None, address=None, reason=reason)
    return assume_delivered(thread).with_message(given_up)


def deferred(thread: Thread, message_id: str, reason: str) -> Thread:
    """The mail server has not accepted the message this time: it has certainly not been delivered.

    A message in doubt stays in flight, since an earlier transmission may have been delivered.
    """
    message = _in_flight(thread, message_id)
    if message is None or message.in_doubt:
        return thread
    return thread.with_message(replace(message, status="waiting", content=None, reason=reason))


def rejected(thread: Thread, message_id: str, reason: str) -> Thread:
    """The mail server has refused the message for good."""
    message = _in_flight(thread, message_id)
    if message is None:
        return thread
    return failed(assume_delivered(thread) if message.in_doubt else thread, message, reason)


def suppressed(thread: Thread, notified: NotifiedState) -> Thread:
    """A setting switches the pending message off: the receiver counts as notified all the same.

    The messages that are switched on still follow: a cancellation after a suppressed confirmation.
    """
    return replace(thread, notified=notified, expects_appointment=notified.is_on)


def failed(thread: Thread, message: ThreadMessage, reason: str) -> Thread:
    """The message cannot be delivered: it counts as notified, so that it is not tried for ever."""
    after = replace(thread, notified=message.notified)
    return after.with_message(replace(message, status="failed", content=None, reason=reason))


def _in_flight(thread: Thread, message_id: str) -> ThreadMessage | None:
    message = thread.in_flight
    return message if message is not None and message.id == message_id else None
