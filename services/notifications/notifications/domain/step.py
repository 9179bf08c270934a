"""The next step towards one receiver: nothing, wait, give up, or send this letter."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hoop_events.booking import Appointment
from notifications.domain.letter import Letter, Receiver, Scene, Span, Wording, is_confirmed, write
from notifications.domain.rules import Rules
from notifications.domain.telling import (
    FINAL,
    Message,
    Occasion,
    Thread,
    failed,
    owed,
    silenced,
    stands,
    truth,
)
from notifications.domain.text import one_address

TOO_LATE = "too_late"
A_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class Nothing:
    """All is said."""


@dataclass(frozen=True)
class Wait:
    """Something must be known first: at most `more`, or else until it is."""

    reason: str
    more: timedelta | None = None


@dataclass(frozen=True)
class GaveUp:
    """It cannot be said; `reason` is a slug."""

    reason: str


@dataclass(frozen=True)
class Send:
    """Send this now; it is in the air from here on."""

    message: Message
    letter: Letter


Step = Nothing | Wait | GaveUp | Send


@dataclass(frozen=True)
class Case:
    """Everything that the next step depends on."""

    state: Appointment
    thread: Thread
    """After `land`: a message in the air is to be sent again."""
    receiver: Receiver | None
    """None: not heard of yet."""
    scene: Scene
    waited: timedelta
    """Since the present occasion has been owed."""
    link_wait: timedelta
    message_id: str
    """The id for a message that has none yet."""
    now: datetime
    rules: Rules = field(default_factory=Rules)

    def wording(self, occasion: Occasion) -> Wording | None:
        """How the settings want it worded; None: not at all."""
        return self.rules.wording(
            occasion.kind,
            self.thread.role,
            self.thread.receiver_id,
            confirmed=is_confirmed(self.state),
        )


def next_step(case: Case) -> tuple[Thread, Step]:
    """Decide; answers the thread as it is then, and the step."""
    in_air = case.thread.in_air
    if in_air is not None and in_air.letter is not None:
        again = replace(in_air, in_doubt=True)
        return case.thread.with_message(again), Send(again, in_air.letter)
    occasion = owed(case.thread, case.state) or _mended(case)
    thread = _without_outdated(case.thread, occasion)
    if occasion is None or (case.receiver is not None and case.receiver.gone):
        return _without_outdated(thread, None), Nothing()
    if case.wording(occasion) is None:
        told = _message(case, thread, occasion).told
        return silenced(_without_outdated(thread, None), told), Nothing()
    if case.state.end_time <= case.now:
        return _overtaken(thread)
    message = _message(case, thread, occasion)
    waiting = _wait(case, occasion)
    if waiting is not None:
        return thread.with_message(replace(message, reason=waiting.reason)), waiting
    return _say(case, thread, message)


def _say(case: Case, thread: Thread, message: Message) -> tuple[Thread, Step]:
    receiver = case.receiver
    assert receiver is not None, "who is unknown is waited for"
    if one_address(receiver.email) is None:
        message = replace(message, address=receiver.email)
        return failed(thread, message, "no_usable_address"), GaveUp("no_usable_address")
    letter = _letter(case, message.occasion, receiver)
    message = replace(message, status="sending", letter=letter, address=receiver.email, reason=None)
    return thread.with_message(message), Send(message, letter)


def _mended(case: Case) -> Occasion | None:
    """A message that failed for its address is owed again once there is another."""
    ended = [m for m in case.thread.messages if m.status in FINAL]
    if not ended or ended[-1].status != "failed" or case.receiver is None:
        return None
    last = ended[-1]
    same = last.address == case.receiver.email or last.reason == TOO_LATE
    still_true = last.told.stands == stands(case.state, case.thread)
    return last.occasion if still_true and not same else None


def _without_outdated(thread: Thread, occasion: Occasion | None) -> Thread:
    """A message that waited for an occasion that has passed is dropped: something else is true now."""
    waiting = thread.waiting
    if waiting is None or waiting.occasion == occasion:
        return thread
    return thread.with_message(replace(waiting, status="dropped", address=None))


def _overtaken(thread: Thread) -> tuple[Thread, Step]:
    """The appointment is over. Old news is not told; what was tried in time has failed, visibly."""
    waiting = thread.waiting
    return (
        (thread, Nothing())
        if waiting is None
        else (
            failed(thread, waiting, TOO_LATE),
            GaveUp(TOO_LATE),
        )
    )


def _message(case: Case, thread: Thread, occasion: Occasion) -> Message:
    """The message of this occasion, waiting, telling the truth of now."""
    known = next((m for m in thread.messages if m.occasion.name == occasion.name), None)
    told = truth(case.state, thread)
    if occasion.kind == "cancelled" and thread.told is not None:
        told = replace(thread.told, stands=False)
    return Message(
        id=known.id if known else case.message_id,
        occasion=occasion,
        status="waiting",
        told=told,
        address=known.address if known else None,
    )


def _wait(case: Case, occasion: Occasion) -> Wait | None:
    """What the message has to wait for, if for anything."""
    left = case.link_wait - case.waited
    if case.receiver is None:
        return Wait("receiver not known yet")
    if occasion.kind in ("booked", "rescheduled") and left > timedelta() and _coming(case, left):
        return Wait("the link is being made", left)
    if not case.scene.known and left > timedelta():
        return Wait("calendar or location not known yet", min(left, A_MOMENT))
    return None


def _coming(case: Case, left: timedelta) -> bool:
    """Whether the link may come in time: not before a person confirms, nor before `expectedAt`."""
    meeting = case.state.meeting
    if meeting.state != "pending" or meeting.reason == "awaiting_confirmation":
        return False
    return meeting.expected_at is None or meeting.expected_at <= case.now + left


def _letter(case: Case, occasion: Occasion, to: Receiver) -> Letter:
    told, state = case.thread.told, case.state
    at, was = Span(state.start_time, state.end_time), None
    if told is not None and occasion.kind == "cancelled":
        at = Span(told.start, told.end)
    elif told is not None and occasion.kind == "rescheduled":
        was = Span(told.start, told.end)
    return write(
        occasion.kind,
        case.thread.role,
        state,
        to=to,
        scene=case.scene,
        at=at,
        was=was if was != at else None,
        now=case.now,
        wording=case.wording(occasion) or Wording(),
    )
