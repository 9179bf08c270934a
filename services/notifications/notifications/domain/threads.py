"""Threads: what one receiver has been notified of about one appointment, and which message is pending.

The rules are a table in the README of the service: a thread holds what its receiver has been
notified of, the newest event holds the current state, and `pending_notice` is the difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Literal

from hoop_events.booking import Appointment, AppointmentDeleted, AppointmentEvent
from notifications.domain.message import Kind, Role, join_link

Status = Literal["waiting", "sending", "sent", "doubtful", "failed", "switched_off"]
"""waiting: certainly not delivered so far · sending: in flight, may be delivered · doubtful: may be
delivered, not sent again · failed: refused for good · switched_off: by a setting."""
FINAL: frozenset[Status] = frozenset({"sent", "doubtful", "failed"})
"""The statuses that are announced."""
EXTRA_ROLES: frozenset[Role] = frozenset({"addressee", "colleague"})
"""The roles of receivers who get messages only because a setting names them."""


@dataclass(frozen=True)
class NotifiedState:
    """What a message says of the appointment, as far as the next message depends on it."""

    is_on: bool
    session: str
    start: datetime
    end: datetime
    host: str | None
    join_url: str | None = None


@dataclass(frozen=True)
class Occasion:
    """Why a message goes: its kind, and the name that makes the message unique in its thread."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class ThreadMessage:
    """One message of a thread."""

    number: int
    occasion: Occasion
    status: Status
    notified: NotifiedState
    address: str | None = None
    """Where the message was to go; known while a later decision may need it."""
    reason: str | None = None
    in_doubt: bool = False
    """It was transmitted a second time, because it was unknown what came of the first."""


@dataclass(frozen=True)
class Thread:
    """An appointment and one of its receivers.

    `notified` is the state that the receiver counts as notified of, by a message or silently.
    `expects_appointment`: a message that the appointment is on was delivered, or may have been, and
    none after it that the appointment is off.
    """

    role: Role
    receiver_id: str
    notified: NotifiedState | None = None
    expects_appointment: bool = False
    messages: tuple[ThreadMessage, ...] = ()
    """Oldest first. Only the last one may be in flight or waiting; an earlier one that waits never goes."""

    @property
    def in_flight(self) -> ThreadMessage | None:
        return next((m for m in self.messages if m.status == "sending"), None)

    @property
    def waiting(self) -> ThreadMessage | None:
        last = self.messages[-1:]
        return next((m for m in last if m.status == "waiting"), None)

    @property
    def last_announced(self) -> ThreadMessage | None:
        """The last message that has ended: sent, in doubt for good, or failed."""
        return next((m for m in reversed(self.messages) if m.status in FINAL), None)

    @property
    def counted(self) -> int:
        """The number of the last message that counts as notified."""
        ended = (m.number for m in self.messages if m.status not in ("waiting", "sending"))
        return max(ended, default=0)

    @property
    def used_occasions(self) -> frozenset[str]:
        """The names of occasions that the receiver may already have a message of."""
        return frozenset(
            m.occasion.name for m in self.messages if m.status == "sending" or m.status in FINAL
        )


def receivers(state: Appointment) -> Mapping[str, Role]:
    """Who gets messages about an appointment without any setting: id → role."""
    found: dict[str, Role] = {state.contact_id: "contact"}
    if state.assigned_user_id is not None:
        found[state.assigned_user_id] = "user"
    return found


def new_thread(role: Role, receiver_id: str, before: Appointment | None) -> Thread:
    """The thread of a receiver who had none. `before` is the state before the present event.

    A receiver whom a setting names counts as notified of `before`, and so gets messages of changes.
    """
    thread = Thread(role, receiver_id)
    if before is None or role not in EXTRA_ROLES:
        return thread
    return replace(
        thread, notified=current_state(before, thread), expects_appointment=before.occupies
    )


def is_on(state: Appointment, thread: Thread) -> bool:
    """Whether the appointment takes place with this receiver."""
    return state.occupies and (thread.role in EXTRA_ROLES or thread.receiver_id in receivers(state))


def current_state(state: Appointment, thread: Thread) -> NotifiedState:
    """What a message to this receiver would say of `state`."""
    return NotifiedState(
        is_on=is_on(state, thread),
        session=state.session,
        start=state.start_time,
        end=state.end_time,
        host=state.assigned_user_id,
        join_url=join_link(state),
    )


def pending_notice(thread: Thread, state: Appointment) -> Occasion | None:
    """The occasion of the message that the receiver still lacks; None if there is none.

    A message in flight counts as not delivered: see `assume_delivered`.
    """
    notified = thread.notified
    if not is_on(state, thread):
        if notified and notified.is_on and thread.expects_appointment:
            return _unused(thread, "cancelled", f"cancelled:{notified.session}")
        return None
    if notified is None or not notified.is_on:
        return _confirmation(thread, state)
    if (notified.start, notified.end, notified.host) != _time_and_host(state):
        return _unused(thread, "rescheduled", f"rescheduled:{state.time_revision}")
    return _link(thread, state, notified)


def _time_and_host(state: Appointment) -> tuple[datetime, datetime, str | None]:
    return state.start_time, state.end_time, state.assigned_user_id


def _confirmation(thread: Thread, state: Appointment) -> Occasion:
    moved_before = thread.notified is None and state.time_revision > 1
    name = f"rescheduled:{state.time_revision}" if moved_before else f"booked:{state.session}"
    return _unused(thread, "booked", name)


def _link(thread: Thread, state: Appointment, notified: NotifiedState) -> Occasion | None:
    """A ready link that the receiver does not have; None if no message has reached the receiver."""
    meeting = state.meeting
    if meeting.state != "ready" or meeting.join_url in (None, notified.join_url):
        return None
    if not thread.expects_appointment:
        return None
    prefix = f"link:{state.session}:"
    sent = sum(name.startswith(prefix) for name in thread.used_occasions)
    return Occasion("link", f"{prefix}{sent + 1}")


def _unused(thread: Thread, kind: Kind, name: str) -> Occasion:
    if name not in thread.used_occasions:
        return Occasion(kind, name)
    numbered = (f"{name}:{number}" for number in count(2))
    return Occasion(kind, next(other for other in numbered if other not in thread.used_occasions))


def apply_event(thread: Thread, before: Appointment | None, event: AppointmentEvent) -> Thread:
    """The thread after an event; `before` is the state before the event."""
    if thread.in_flight is not None:
        return thread
    if not event.change.notify and _may_stay_silent(thread, before, event):
        return replace(thread, notified=current_state(event.state, thread))
    if pending_notice(thread, event.state):
        return thread
    return _with_unnotified_facts(thread, event.state)


def _may_stay_silent(thread: Thread, before: Appointment | None, event: AppointmentEvent) -> bool:
    """Whether a change with `notify: false` needs no message: not if an earlier message is pending."""
    ends = isinstance(event, AppointmentDeleted)
    return ends or before is None or pending_notice(thread, before) is None


def _with_unnotified_facts(thread: Thread, state: Appointment) -> Thread:
    """No message is pending: `notified` takes over the facts that need none."""
    if thread.notified is None:
        return thread
    if not is_on(state, thread):
        return replace(thread, notified=replace(thread.notified, is_on=False))
    return replace(thread, notified=replace(thread.notified, session=state.session))
