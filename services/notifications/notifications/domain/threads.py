"""Threads: what one receiver has been notified of about one appointment, and which message is pending.

The rules are a table in the README of the service: a thread holds what its receiver has been
notified of, the newest event holds the current state, and `pending_notice` is the difference. The
threads of one receiver about the occurrences of a series are one conversation: see `conversation`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from itertools import count
from typing import Literal

from hoop_events.booking import Appointment, AppointmentDeleted, AppointmentEvent
from notifications.domain.message import Kind, Role, is_confirmed, join_link

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
    confirmed: bool = True
    venue: str = ""
    texts: str = ""
    """Digests of the place, and of title and description: no text is kept. Empty: not known."""


@dataclass(frozen=True)
class Occasion:
    """Why a message goes: its kind, and the name that makes the message unique in its thread."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class ThreadMessage:
    """One message of a conversation. `notified`: what it says, by appointment."""

    number: int
    occasion: Occasion
    status: Status
    notified: Mapping[str, NotifiedState]
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

    appointment_id: str
    role: Role
    receiver_id: str
    notified: NotifiedState | None = None
    expects_appointment: bool = False
    messages: tuple[ThreadMessage, ...] = ()
    """Those of the whole conversation, oldest first. Only the last one may be in flight or waiting; an
    earlier one that waits never goes."""

    @property
    def in_flight(self) -> ThreadMessage | None:
        """The message in flight, if it says something of this appointment."""
        sending = (m for m in self.messages if m.status == "sending")
        return next((m for m in sending if self.appointment_id in m.notified), None)

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
    """Who gets messages about an appointment without any setting: id → role.

    The contact and every host; a calendar without members is its own host, and nobody.
    """
    hosts = () if state.assigned_user_id is None else (state.assigned_user_id, *state.hosts)
    staff: dict[str, Role] = {host: "user" for host in hosts if host != state.calendar_id}
    return {state.contact_id: "contact", **staff}


def new_thread(
    role: Role, receiver_id: str, before: Appointment | None, *, appointment_id: str
) -> Thread:
    """The thread of a receiver who had none. `before` is the state before the present event.

    A receiver whom a setting names counts as notified of `before`, and so gets messages of changes.
    """
    thread = Thread(appointment_id, role, receiver_id)
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
    venue, texts = _digests(state)
    return NotifiedState(
        is_on=is_on(state, thread),
        session=state.session,
        start=state.start_time,
        end=state.end_time,
        host=state.assigned_user_id,
        join_url=join_link(state),
        confirmed=is_confirmed(state),
        venue=venue,
        texts=texts,
    )


def _digests(state: Appointment) -> tuple[str, str]:
    """The place, and title and description, as digests; empty once the texts are erased.

    The appointment's id is part of them: equal texts of two appointments are not seen to be equal.
    """
    personal = state.personal
    if not (personal.title or personal.description or personal.address):
        return "", ""
    venue = _digest(state.id, state.meeting_location_type, personal.address)
    return venue, _digest(state.id, personal.title, personal.description)


def _digest(*texts: str) -> str:
    return sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()[:16]


def pending_notice(thread: Thread, state: Appointment) -> Occasion | None:
    """The occasion of the message that the receiver still lacks; None if there is none.

    A message in flight counts as not delivered: see `assume_delivered`.
    """
    notified = thread.notified
    if not is_on(state, thread):
        if notified and notified.is_on and thread.expects_appointment:
            return _end(thread, state, notified)
        return None
    if notified is None or not notified.is_on:
        return _confirmation(thread, state)
    return _change(thread, state, notified) or _link(thread, state, notified)


def _end(thread: Thread, state: Appointment, notified: NotifiedState) -> Occasion:
    """A request that was never confirmed is declined, anything else is cancelled."""
    declined = not (notified.confirmed or state.confirmed or state.occupies)
    kind: Kind = "declined" if declined else "cancelled"
    return _unused(thread, kind, f"{kind}:{notified.session}")


def _change(thread: Thread, state: Appointment, notified: NotifiedState) -> Occasion | None:
    """A change of what the receiver knows; one message tells all of it, named after the first of these."""
    if not notified.confirmed and state.appointment_status in ("confirmed", "active"):
        return _unused(thread, "confirmed", f"confirmed:{state.session}")
    if (notified.start, notified.end, notified.host) != _time_and_host(state):
        return _unused(thread, "rescheduled", f"rescheduled:{state.time_revision}")
    if has_new_details(notified, current_state(state, thread)):
        return _unused(thread, "updated", f"updated:{'.'.join(_digests(state))}")
    return None


def has_new_details(before: NotifiedState, after: NotifiedState) -> bool:
    """Whether place, title or description differ; what is not known, or erased, does not."""
    pairs = ((before.venue, after.venue), (before.texts, after.texts))
    return any(old and new and old != new for old, new in pairs)


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
    return Occasion(kind, unused_name(name, thread.used_occasions))


def unused_name(name: str, used: Collection[str]) -> str:
    """The name of an occasion, numbered if it was used before."""
    if name not in used:
        return name
    return next(other for other in (f"{name}:{n}" for n in count(2)) if other not in used)


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
