"""The next step towards one receiver: none, wait, give up a doubtful message, or send one. Pure."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from hoop_events.booking import Appointment
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.plan import Create, GiveUp, InSync, Step, WaitFor, repeat_once
from notifications.domain.history import assume_delivered, message_data, with_history
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
from notifications.domain.threads import (
    NotifiedState,
    Occasion,
    Thread,
    current_state,
    is_on,
    pending_notice,
)

CONTENT = TypeAdapter(MessageContent)
TOO_LATE = "too_late"
IN_DOUBT = "in_doubt"
NAMES_RECHECK = timedelta(seconds=1)


@dataclass(frozen=True)
class MailFacts:
    """Everything that the next step depends on, beside the messages."""

    state: Appointment
    base: Thread
    """Without messages; those up to the number `counted` are taken into account."""
    counted: int
    receiver: Receiver | None
    """None: the event that announces the receiver has not been handled yet."""
    context: NotificationContext
    pending_occasion: str | None
    """The one that the newest event has left pending, and for how long it has been."""
    pending_for: timedelta
    link_wait: timedelta
    rules: NotificationRules = field(default_factory=NotificationRules)

    @property
    def is_erased(self) -> bool:
        return self.receiver is not None and self.receiver.erased

    def wording(self, occasion: Occasion) -> Wording | None:
        """The wording that the settings give the message; None: the message is switched off."""
        return self.rules.wording(
            occasion.kind, self.base.role, self.base.receiver_id, confirmed=is_confirmed(self.state)
        )

    def link_wait_left(self, occasion: Occasion) -> timedelta:
        """How long the message may still wait; none that was tried before waits again."""
        is_new = occasion.name == self.pending_occasion
        return self.link_wait - self.pending_for if is_new else timedelta()


def plan(facts: MailFacts | None, observed: ObservedState, *, now: datetime) -> Step:
    """The next step in a thread; `facts` None: the thread does not exist any more."""
    if facts is None:
        return InSync()
    thread = with_history(facts.base, observed.objects, counted=facts.counted)
    if (message := thread.in_flight) is not None:
        lost = next(each for each in observed.objects if each.generation == message.number)
        return _in_doubt(facts, thread, lost, now=now)
    occasion = pending_notice(thread, facts.state) or _retry_at_new_address(facts, thread)
    if occasion is None or facts.is_erased:
        return InSync()
    return _towards(facts, thread, occasion, _number(thread, occasion, observed), now=now)


def _in_doubt(
    facts: MailFacts, thread: Thread, lost: ExternalObject, *, now: datetime
) -> Create | WaitFor | GiveUp:
    """The next step for a message whose delivery was not recorded: repeat it once, if it is true."""
    followed = pending_notice(assume_delivered(thread), facts.state) is not None
    step = repeat_once(lost)
    if followed or facts.is_erased or facts.state.end_time <= now or isinstance(step, GiveUp):
        no_address = {name: said for name, said in lost.data.items() if name != "address"}
        given_up = replace(lost, data=no_address)
        return GiveUp(given_up, IN_DOUBT, followed=followed and not facts.is_erased)
    return replace(step, reason=IN_DOUBT) if isinstance(step, WaitFor) else step


def _towards(
    facts: MailFacts, thread: Thread, occasion: Occasion, number: int, *, now: datetime
) -> Step:
    """Towards a message of this occasion. One that is too late fails if it was tried before."""
    notified = _notified(facts.state, thread, occasion)
    if facts.wording(occasion) is None:
        return Create(number, data={**message_data(occasion, notified), "switched_off": True})
    if facts.state.end_time <= now:
        waiting = thread.waiting
        is_tried = waiting is not None and waiting.number == number
        return Create(number, data=message_data(occasion, notified)) if is_tried else InSync()
    if (wait := _wait(facts, occasion, now=now)) is not None:
        return wait
    assert facts.receiver is not None, "`_wait` waits for a receiver that is not known yet"
    content = _content(facts, thread, occasion, facts.receiver, now=now)
    return Create(
        number,
        content=CONTENT.dump_python(content, mode="json"),
        data=message_data(occasion, notified, address=facts.receiver.email),
    )


def _number(thread: Thread, occasion: Occasion, observed: ObservedState) -> int:
    """The number of the message: that of the one that waits, if it is about the same occasion."""
    waiting = thread.waiting
    if waiting is not None and waiting.occasion == occasion:
        return waiting.number
    return observed.next_generation


def _retry_at_new_address(facts: MailFacts, thread: Thread) -> Occasion | None:
    """The occasion of a message that failed for its address, once the receiver has another address."""
    last = thread.last_announced
    if last is None or last.status != "failed" or facts.receiver is None:
        return None
    same_address = last.address == facts.receiver.email or last.reason == TOO_LATE
    still_true = last.notified.is_on == is_on(facts.state, thread)
    return last.occasion if still_true and not same_address else None


def _notified(state: Appointment, thread: Thread, occasion: Occasion) -> NotifiedState:
    """What the message says of the appointment."""
    if occasion.kind == "cancelled" and thread.notified is not None:
        return replace(thread.notified, is_on=False)
    return current_state(state, thread)


def _wait(facts: MailFacts, occasion: Occasion, *, now: datetime) -> WaitFor | None:
    """What the message has to wait for; None if it can go now."""
    left = facts.link_wait_left(occasion)
    if facts.receiver is None:
        return WaitFor(None, "receiver not known yet")
    if left > timedelta() and waits_for_link(occasion, facts.state, left, now=now):
        return WaitFor(left, "the link is being made")
    if left > timedelta() and not facts.context.is_known:
        return WaitFor(min(left, NAMES_RECHECK), "calendar or location not known yet")
    return None


def waits_for_link(
    occasion: Occasion, state: Appointment, left: timedelta, *, now: datetime
) -> bool:
    """Whether the meeting link may come in time: not before a person confirms, nor before `expectedAt`."""
    meeting = state.meeting
    if occasion.kind not in ("booked", "rescheduled") or meeting.state != "pending":
        return False
    if meeting.reason == "awaiting_confirmation":
        return False
    return meeting.expected_at is None or meeting.expected_at <= now + left


def _content(
    facts: MailFacts, thread: Thread, occasion: Occasion, receiver: Receiver, *, now: datetime
) -> MessageContent:
    notified, state = thread.notified, facts.state
    time, previous_time = TimeRange(state.start_time, state.end_time), None
    if notified is not None and occasion.kind == "cancelled":
        time = TimeRange(notified.start, notified.end)
    elif notified is not None and occasion.kind == "rescheduled":
        previous_time = TimeRange(notified.start, notified.end)
    return build_content(
        occasion.kind,
        thread.role,
        state,
        receiver=receiver,
        context=facts.context,
        time=time,
        previous_time=previous_time if previous_time != time else None,
        now=now,
        wording=facts.wording(occasion) or Wording(),
    )
