"""The next action towards one receiver: none, wait, give up, or send a message."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hoop_events.booking import Appointment
from notifications.domain.message import (
    MessageContent,
    NotificationContext,
    Receiver,
    TimeRange,
    Wording,
    build_content,
    is_confirmed,
)
from notifications.domain.notification_rules import NotificationRules
from notifications.domain.outcomes import failed, suppressed
from notifications.domain.text import one_address
from notifications.domain.threads import (
    FINAL,
    Occasion,
    Thread,
    ThreadMessage,
    current_state,
    is_on,
    pending_notice,
)

TOO_LATE = "too_late"
NAMES_RECHECK = timedelta(seconds=1)


@dataclass(frozen=True)
class NoAction:
    """No message is pending."""


@dataclass(frozen=True)
class Wait:
    """Something is not known yet: decide again after `at_most`, or when it is known."""

    reason: str
    at_most: timedelta | None = None


@dataclass(frozen=True)
class GiveUp:
    """The message cannot be sent; `reason` is a slug."""

    reason: str


@dataclass(frozen=True)
class Send:
    """Send this message now; from here on it is in flight."""

    message: ThreadMessage
    content: MessageContent


NextAction = NoAction | Wait | GiveUp | Send


@dataclass(frozen=True)
class ThreadSnapshot:
    """Everything that the next action depends on."""

    state: Appointment
    thread: Thread
    """After `resolve_in_flight`: a message in flight is to be sent again."""
    receiver: Receiver | None
    """None: the event that announces the receiver has not been handled yet."""
    context: NotificationContext
    pending_for: timedelta
    """How long the present occasion has been pending."""
    link_wait: timedelta
    message_id: str
    """The id for a message that has none yet."""
    now: datetime
    rules: NotificationRules = field(default_factory=NotificationRules)

    def wording(self, occasion: Occasion) -> Wording | None:
        """The wording that the settings give the message; None: the message is switched off."""
        return self.rules.wording(
            occasion.kind,
            self.thread.role,
            self.thread.receiver_id,
            confirmed=is_confirmed(self.state),
        )


def next_action(snapshot: ThreadSnapshot) -> tuple[Thread, NextAction]:
    """The next action, and the thread as it is with this action."""
    in_flight = snapshot.thread.in_flight
    if in_flight is not None and in_flight.content is not None:
        again = replace(in_flight, in_doubt=True)
        return snapshot.thread.with_message(again), Send(again, in_flight.content)
    occasion = pending_notice(snapshot.thread, snapshot.state) or _retry_at_new_address(snapshot)
    thread = _drop_outdated(snapshot.thread, occasion)
    if occasion is None or (snapshot.receiver is not None and snapshot.receiver.erased):
        return _drop_outdated(thread, None), NoAction()
    if snapshot.wording(occasion) is None:
        notified = _message(snapshot, thread, occasion).notified
        return suppressed(_drop_outdated(thread, None), notified), NoAction()
    if snapshot.state.end_time <= snapshot.now:
        return _too_late(thread)
    message = _message(snapshot, thread, occasion)
    wait = _wait(snapshot, occasion)
    if wait is not None:
        return thread.with_message(replace(message, reason=wait.reason)), wait
    return _send(snapshot, thread, message)


def _send(
    snapshot: ThreadSnapshot, thread: Thread, message: ThreadMessage
) -> tuple[Thread, NextAction]:
    receiver = snapshot.receiver
    assert receiver is not None, "`_wait` waits for a receiver that is not known yet"
    if one_address(receiver.email) is None:
        message = replace(message, address=receiver.email)
        return failed(thread, message, "no_usable_address"), GiveUp("no_usable_address")
    content = _content(snapshot, message.occasion, receiver)
    message = replace(
        message, status="sending", content=content, address=receiver.email, reason=None
    )
    return thread.with_message(message), Send(message, content)


def _retry_at_new_address(snapshot: ThreadSnapshot) -> Occasion | None:
    """The occasion of a message that failed for its address, once the receiver has another address."""
    ended = [m for m in snapshot.thread.messages if m.status in FINAL]
    if not ended or ended[-1].status != "failed" or snapshot.receiver is None:
        return None
    last = ended[-1]
    same_address = last.address == snapshot.receiver.email or last.reason == TOO_LATE
    still_true = last.notified.is_on == is_on(snapshot.state, snapshot.thread)
    return last.occasion if still_true and not same_address else None


def _drop_outdated(thread: Thread, occasion: Occasion | None) -> Thread:
    """The thread without a waiting message of another occasion than the pending one."""
    waiting = thread.waiting
    if waiting is None or waiting.occasion == occasion:
        return thread
    return thread.with_message(replace(waiting, status="dropped", address=None))


def _too_late(thread: Thread) -> tuple[Thread, NextAction]:
    """The appointment is over: nothing is sent, and a message that was tried before has failed."""
    waiting = thread.waiting
    if waiting is None:
        return thread, NoAction()
    return failed(thread, waiting, TOO_LATE), GiveUp(TOO_LATE)


def _message(snapshot: ThreadSnapshot, thread: Thread, occasion: Occasion) -> ThreadMessage:
    """The message of this occasion, waiting, about the current state."""
    known = next((m for m in thread.messages if m.occasion.name == occasion.name), None)
    notified = current_state(snapshot.state, thread)
    if occasion.kind == "cancelled" and thread.notified is not None:
        notified = replace(thread.notified, is_on=False)
    return ThreadMessage(
        id=known.id if known else snapshot.message_id,
        occasion=occasion,
        status="waiting",
        notified=notified,
        address=known.address if known else None,
    )


def _wait(snapshot: ThreadSnapshot, occasion: Occasion) -> Wait | None:
    """What the message has to wait for; None if it can go now."""
    left = snapshot.link_wait - snapshot.pending_for
    if snapshot.receiver is None:
        return Wait("receiver not known yet")
    if (
        occasion.kind in ("booked", "rescheduled")
        and left > timedelta()
        and _may_get_link(snapshot, left)
    ):
        return Wait("the link is being made", left)
    if not snapshot.context.is_known and left > timedelta():
        return Wait("calendar or location not known yet", min(left, NAMES_RECHECK))
    return None


def _may_get_link(snapshot: ThreadSnapshot, left: timedelta) -> bool:
    """Whether the meeting link may come in time: not before a person confirms, nor before `expectedAt`."""
    meeting = snapshot.state.meeting
    if meeting.state != "pending" or meeting.reason == "awaiting_confirmation":
        return False
    return meeting.expected_at is None or meeting.expected_at <= snapshot.now + left


def _content(snapshot: ThreadSnapshot, occasion: Occasion, receiver: Receiver) -> MessageContent:
    notified, state = snapshot.thread.notified, snapshot.state
    time, previous_time = TimeRange(state.start_time, state.end_time), None
    if notified is not None and occasion.kind == "cancelled":
        time = TimeRange(notified.start, notified.end)
    elif notified is not None and occasion.kind == "rescheduled":
        previous_time = TimeRange(notified.start, notified.end)
    return build_content(
        occasion.kind,
        snapshot.thread.role,
        state,
        receiver=receiver,
        context=snapshot.context,
        time=time,
        previous_time=previous_time if previous_time != time else None,
        now=snapshot.now,
        wording=snapshot.wording(occasion) or Wording(),
    )
