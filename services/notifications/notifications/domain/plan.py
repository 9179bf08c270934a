"""The next step towards one receiver: none, wait, give up a doubtful message, or send one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import TypeAdapter

from hoop_events.booking import Appointment
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.plan import Create, GiveUp, InSync, Step, WaitFor, repeat_once
from notifications.domain.conversation import Conversation, ConversationThread
from notifications.domain.history import message_data, with_history
from notifications.domain.message import (
    Kind,
    MessageContent,
    NotificationContext,
    Receiver,
    Wording,
    build_content,
    is_confirmed,
)
from notifications.domain.notification_rules import NotificationRules
from notifications.domain.threads import NotifiedState, Occasion, Thread, current_state, is_on

CONTENT = TypeAdapter(MessageContent)
KINDS_WITH_LINK: frozenset[Kind] = frozenset({"booked", "confirmed", "rescheduled", "updated"})
TOO_LATE = "too_late"
IN_DOUBT = "in_doubt"
NAMES_RECHECK = timedelta(seconds=1)


@dataclass(frozen=True)
class ThreadFacts:
    """One thread, and the newest state of its appointment."""

    state: Appointment
    base: Thread
    """Without messages; those up to the number `counted` are taken into account."""
    counted: int
    pending_occasion: str | None
    """The one that the newest event has left pending, and for how long it has been."""
    pending_for: timedelta

    def pending_since(self, occasion: Occasion) -> timedelta | None:
        """For how long the occasion has been pending; None for one that was tried before."""
        return self.pending_for if occasion.name == self.pending_occasion else None


@dataclass(frozen=True)
class MailFacts:
    """Everything that the next step depends on, beside the messages."""

    threads: Sequence[ThreadFacts]
    """Of one receiver: of one appointment, or of the occurrences of a series; at least one, by start."""
    receiver: Receiver | None
    """None: the event that announces the receiver has not been handled yet."""
    context: NotificationContext
    link_wait: timedelta
    series_wait: timedelta = timedelta()
    rules: NotificationRules = field(default_factory=NotificationRules)

    @property
    def is_erased(self) -> bool:
        return self.receiver is not None and self.receiver.erased

    @property
    def end_time(self) -> datetime:
        """The end of the last appointment: afterwards no message goes."""
        return max(each.state.end_time for each in self.threads)

    def conversation(self, observed: ObservedState) -> Conversation:
        """The threads with their messages."""
        return Conversation(
            [
                ConversationThread(
                    with_history(each.base, observed.objects, counted=each.counted), each.state
                )
                for each in self.threads
            ]
        )

    def wording(self, occasion: Occasion, state: Appointment) -> Wording | None:
        """The wording that the settings give the message; None: the message is switched off."""
        thread = self.threads[0].base
        return self.rules.wording(
            occasion.kind, thread.role, thread.receiver_id, confirmed=is_confirmed(state)
        )


@dataclass(frozen=True)
class _Notice:
    """The message that is pending in a conversation: its occasion, and what is pending of each appointment."""

    occasion: Occasion
    pending: Mapping[str, Occasion]
    conversation: Conversation
    now: datetime

    @property
    def listed(self) -> Sequence[ConversationThread]:
        """The threads of the appointments that the message tells of."""
        return self.conversation.listed(self.pending, self.now)

    @property
    def lead(self) -> ConversationThread:
        """The first thread with news: whose title, host and place the message names."""
        return next((e for e in self.listed if e.state.id in self.pending), self.listed[0])

    @property
    def notified(self) -> Mapping[str, NotifiedState]:
        """What the message says of each appointment."""
        return {each.state.id: each.after_message for each in self.listed}


def plan(facts: MailFacts | None, observed: ObservedState, *, now: datetime) -> Step:
    """The next step in a conversation; `facts` None: it does not exist any more."""
    if facts is None:
        return InSync()
    conversation = facts.conversation(observed)
    if (message := conversation.in_flight) is not None:
        lost = next(each for each in observed.objects if each.generation == message.number)
        return _in_doubt(facts, conversation, lost, now=now)
    notice = _notice(conversation, now) or _retry_at_new_address(facts, conversation, now)
    if notice is None or facts.is_erased:
        return InSync()
    return _towards(facts, notice, _number(notice, observed))


def _notice(conversation: Conversation, now: datetime) -> _Notice | None:
    pending = conversation.pending(now)
    occasion = conversation.occasion(pending)
    return None if occasion is None else _Notice(occasion, pending, conversation, now)


def _in_doubt(
    facts: MailFacts, conversation: Conversation, lost: ExternalObject, *, now: datetime
) -> Create | WaitFor | GiveUp:
    """The next step for a message whose delivery was not recorded: repeat it once, if it is true."""
    followed = bool(conversation.if_delivered().pending(now))
    step = repeat_once(lost)
    if followed or facts.is_erased or facts.end_time <= now or isinstance(step, GiveUp):
        no_address = {name: said for name, said in lost.data.items() if name != "address"}
        given_up = replace(lost, data=no_address)
        return GiveUp(given_up, IN_DOUBT, followed=followed and not facts.is_erased)
    return replace(step, reason=IN_DOUBT) if isinstance(step, WaitFor) else step


def _towards(facts: MailFacts, notice: _Notice, number: int) -> Step:
    """Towards a message of this occasion. One that is too late fails if it was tried before."""
    data = message_data(notice.occasion, notice.notified)
    wording = _wording(facts, notice)
    if wording is None:
        return Create(number, data={**data, "switched_off": True})
    if facts.end_time <= notice.now:
        waiting = notice.conversation.waiting
        is_tried = waiting is not None and waiting.number == number
        return Create(number, data=data) if is_tried else InSync()
    if (wait := _wait(facts, notice)) is not None:
        return wait
    assert facts.receiver is not None, "`_wait` waits for a receiver that is not known yet"
    content = _content(facts, notice, facts.receiver, wording)
    return Create(
        number,
        content=CONTENT.dump_python(content, mode="json"),
        data={**data, "address": facts.receiver.email},
    )


def _wording(facts: MailFacts, notice: _Notice) -> Wording | None:
    """The wording of the message; None only if everything that it would tell is switched off."""
    state = notice.lead.state
    occasions = (notice.occasion, *notice.pending.values())
    found = (facts.wording(occasion, state) for occasion in occasions)
    return next((wording for wording in found if wording is not None), None)


def _number(notice: _Notice, observed: ObservedState) -> int:
    """The number of the message: that of the one that waits, if it is about the same occasion."""
    waiting = notice.conversation.waiting
    if waiting is not None and waiting.occasion == notice.occasion:
        return waiting.number
    return observed.next_generation


def _retry_at_new_address(
    facts: MailFacts, conversation: Conversation, now: datetime
) -> _Notice | None:
    """The message that failed for its address, once the receiver has another address."""
    last = conversation.last_announced
    if last is None or last.status != "failed" or facts.receiver is None:
        return None
    same_address = last.address == facts.receiver.email or last.reason == TOO_LATE
    known = {each.state.id: is_on(each.state, each.thread) for each in conversation.threads}
    still_true = all(known.get(id_) == said.is_on for id_, said in last.notified.items())
    if same_address or not still_true:
        return None
    pending = dict.fromkeys(known.keys() & last.notified.keys(), last.occasion)
    return _Notice(last.occasion, pending, conversation, now)


def _wait(facts: MailFacts, notice: _Notice) -> WaitFor | None:
    """What the message has to wait for; None if it can go now."""
    if facts.receiver is None:
        return WaitFor(None, "receiver not known yet")
    pending_for = {
        each.state.id: since
        for each in facts.threads
        if (occasion := notice.pending.get(each.state.id))
        and (since := each.pending_since(occasion)) is not None
    }
    left = {id_: facts.link_wait - since for id_, since in pending_for.items()}
    links = [
        left[each.state.id]
        for each in notice.listed
        if left.get(each.state.id, timedelta()) > timedelta()
        and waits_for_link(
            notice.pending[each.state.id], each.state, left[each.state.id], now=notice.now
        )
    ]
    if links:
        return WaitFor(min(links), "the link is being made")
    longest = max(left.values(), default=timedelta())
    if longest > timedelta() and not facts.context.is_known:
        return WaitFor(min(longest, NAMES_RECHECK), "calendar or location not known yet")
    rest = facts.series_wait - min(pending_for.values(), default=facts.series_wait)
    if notice.conversation.is_series and rest > timedelta():
        return WaitFor(rest, "other occurrences of the series may follow")
    return None


def waits_for_link(
    occasion: Occasion, state: Appointment, left: timedelta, *, now: datetime
) -> bool:
    """Whether the meeting link may come in time: not before a person confirms, nor before `expectedAt`."""
    meeting = state.meeting
    if occasion.kind not in KINDS_WITH_LINK or meeting.state != "pending":
        return False
    if meeting.reason == "awaiting_confirmation":
        return False
    return meeting.expected_at is None or meeting.expected_at <= now + left


def _content(
    facts: MailFacts, notice: _Notice, receiver: Receiver, wording: Wording
) -> MessageContent:
    lead, kind = notice.lead, notice.occasion.kind
    time, previous_time = lead.times
    before, after = lead.thread.notified, current_state(lead.state, lead.thread)
    occurrences = [
        each.occurrence(is_news=each.state.id in notice.pending) for each in notice.listed
    ]
    return build_content(
        kind,
        lead.thread.role,
        lead.state,
        receiver=receiver,
        context=facts.context,
        time=time,
        previous_time=previous_time,
        now=notice.now,
        wording=wording,
        occurrences=tuple(occurrences) if notice.conversation.is_series else (),
        has_new_venue=before is not None
        and "" not in (before.venue, after.venue)
        and before.venue != after.venue,
    )
