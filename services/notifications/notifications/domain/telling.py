"""What one person has been told of one appointment, and what is owed to them. See the package's table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Literal

from hoop_events.booking import Appointment, AppointmentDeleted, AppointmentEvent
from notifications.domain.letter import Kind, Letter, Role, join_link

Status = Literal["waiting", "sending", "sent", "doubtful", "failed", "dropped"]
"""waiting: owed, has certainly not gone · sending: in the air, may have gone · doubtful: may have
gone, and is not repeated · failed: refused for good · dropped: no longer owed, has not gone."""
FINAL: frozenset[Status] = frozenset({"sent", "doubtful", "failed"})
"""The fates that are announced."""


@dataclass(frozen=True)
class Told:
    """What a message tells, as far as the next one depends on it."""

    stands: bool
    session: str
    start: datetime
    end: datetime
    host: str | None
    join_url: str | None = None


@dataclass(frozen=True)
class Occasion:
    """Why a message goes: what it says, and the name that makes it unique in its thread."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Message:
    """One message on one occasion. `letter` is kept only while it is in the air."""

    id: str
    occasion: Occasion
    status: Status
    told: Told
    address: str | None = None
    """Where it went or was to go; kept while that may matter."""
    reason: str | None = None
    letter: Letter | None = None
    in_doubt: bool = False
    """An earlier transmission of it may have arrived."""


@dataclass(frozen=True)
class Thread:
    """An appointment and one of its receivers.

    `told` is what they count as told, said or silent. `believes`: a message that it stands went, or
    may have gone, and none that it does not.
    """

    role: Role
    receiver_id: str
    told: Told | None = None
    believes: bool = False
    messages: tuple[Message, ...] = ()

    def _only(self, status: Status) -> Message | None:
        return next((m for m in self.messages if m.status == status), None)

    @property
    def in_air(self) -> Message | None:
        return self._only("sending")

    @property
    def waiting(self) -> Message | None:
        return self._only("waiting")

    @property
    def used(self) -> frozenset[str]:
        """Occasions that a message may already have borne to the receiver."""
        return frozenset(
            m.occasion.name for m in self.messages if m.status == "sending" or m.status in FINAL
        )

    def with_message(self, message: Message) -> "Thread":
        """With this message added, or in the place of the one of its id."""
        others = tuple(m for m in self.messages if m.id != message.id)
        return replace(self, messages=(*others, message))


EXTRA: frozenset[Role] = frozenset({"addressee", "colleague"})
"""Who is told only because a setting names them."""


def receivers(state: Appointment) -> Mapping[str, Role]:
    """Who is told about an appointment without any setting."""
    found: dict[str, Role] = {state.contact_id: "contact"}
    if state.assigned_user_id is not None:
        found[state.assigned_user_id] = "user"
    return found


def newcomer(role: Role, receiver_id: str, before: Appointment | None) -> Thread:
    """The thread of somebody who is told from here on.

    Whom a setting names counts as told what was true already: so they learn of its change.
    """
    thread = Thread(role, receiver_id)
    if before is None or role not in EXTRA:
        return thread
    return replace(thread, told=truth(before, thread), believes=before.occupies)


def stands(state: Appointment, thread: Thread) -> bool:
    """Whether the appointment takes place as far as this person is concerned."""
    return state.occupies and (thread.role in EXTRA or thread.receiver_id in receivers(state))


def truth(state: Appointment, thread: Thread) -> Told:
    """What somebody would have been told who knew all."""
    return Told(
        stands=stands(state, thread),
        session=state.session,
        start=state.start_time,
        end=state.end_time,
        host=state.assigned_user_id,
        join_url=join_link(state),
    )


def owed(thread: Thread, state: Appointment) -> Occasion | None:
    """What must still be said to the receiver. A message in the air counts as not gone: see `assumed`."""
    told = thread.told
    if not stands(state, thread):
        if told and told.stands and thread.believes:
            return _unused(thread, "cancelled", f"cancelled:{told.session}")
        return None
    if told is None or not told.stands:
        return _confirmation(thread, state)
    if (told.start, told.end, told.host) != _facts(state):
        return _unused(thread, "rescheduled", f"rescheduled:{state.time_revision}")
    return _link(thread, state, told)


def _facts(state: Appointment) -> tuple[datetime, datetime, str | None]:
    return state.start_time, state.end_time, state.assigned_user_id


def _confirmation(thread: Thread, state: Appointment) -> Occasion:
    moved_untold = thread.told is None and state.time_revision > 1
    name = f"rescheduled:{state.time_revision}" if moved_untold else f"booked:{state.session}"
    return _unused(thread, "booked", name)


def _link(thread: Thread, state: Appointment, told: Told) -> Occasion | None:
    """A ready link that the receiver does not have. Whom no message reached, none is sent after."""
    meeting = state.meeting
    if meeting.state != "ready" or meeting.join_url in (None, told.join_url):
        return None
    if not thread.believes:
        return None
    base = f"link:{state.session}:"
    told_there = sum(name.startswith(base) for name in thread.used)
    return Occasion("link", f"{base}{told_there + 1}")


def _unused(thread: Thread, kind: Kind, name: str) -> Occasion:
    if name not in thread.used:
        return Occasion(kind, name)
    numbered = (f"{name}:{number}" for number in count(2))
    return Occasion(kind, next(other for other in numbered if other not in thread.used))


def fold(thread: Thread, before: Appointment | None, event: AppointmentEvent) -> Thread:
    """The thread after an event that was newer than `before`."""
    if thread.in_air is not None:
        return thread
    if not event.change.notify and _may_pass_in_silence(thread, before, event):
        return replace(thread, told=truth(event.state, thread))
    return thread if owed(thread, event.state) else _kept_current(thread, event.state)


def _may_pass_in_silence(
    thread: Thread, before: Appointment | None, event: AppointmentEvent
) -> bool:
    ends = isinstance(event, AppointmentDeleted)
    return ends or before is None or owed(thread, before) is None


def _kept_current(thread: Thread, state: Appointment) -> Thread:
    """Nothing is owed; what counts as told follows the truth in what needs no telling."""
    if thread.told is None:
        return thread
    if not stands(state, thread):
        return replace(thread, told=replace(thread.told, stands=False))
    return replace(thread, told=replace(thread.told, session=state.session))


def assumed(thread: Thread) -> Thread:
    """The thread, if the message in the air has arrived."""
    message = thread.in_air
    if message is None:
        return thread
    return replace(thread, told=message.told, believes=thread.believes or message.told.stands)


def land(thread: Thread, state: Appointment, *, now: datetime) -> Thread:
    """Settle what became of a message in the air whose fate nobody has recorded.

    As long as it is true it stays in the air, to be sent again; else it counts as having gone.
    """
    message = thread.in_air
    if message is None:
        return thread
    repeatable = message.letter is not None and now < state.end_time
    if repeatable and owed(assumed(thread), state) is None:
        return thread
    return doubted(thread, message.id, "in_doubt")


def delivered(thread: Thread, message_id: str) -> Thread:
    """The mail server has taken it. Recording that twice changes nothing; so with the others below."""
    message = _ours(thread, message_id)
    if message is None:
        return thread
    done = replace(message, status="sent", letter=None, address=None, reason=None)
    ahead = replace(thread, told=message.told, believes=message.told.stands)
    return ahead.with_message(done)


def doubted(thread: Thread, message_id: str, reason: str) -> Thread:
    """It may have gone, and is not repeated."""
    message = _ours(thread, message_id)
    if message is None:
        return thread
    given_up = replace(message, status="doubtful", letter=None, address=None, reason=reason)
    return assumed(thread).with_message(given_up)


def refused(thread: Thread, message_id: str, reason: str) -> Thread:
    """The mail server has not taken it, this time: it has certainly not gone, if not before.

    One in doubt stays in the air, for what it said may be known.
    """
    message = _ours(thread, message_id)
    if message is None or message.in_doubt:
        return thread
    return thread.with_message(replace(message, status="waiting", letter=None, reason=reason))


def rejected(thread: Thread, message_id: str, reason: str) -> Thread:
    """The mail server will never take it (again)."""
    message = _ours(thread, message_id)
    if message is None:
        return thread
    return failed(assumed(thread) if message.in_doubt else thread, message, reason)


def silenced(thread: Thread, told: Told) -> Thread:
    """A setting switches this message off: it counts as told, for whoever wants that tells it otherwise.

    So what is switched on still follows: a cancellation, though the confirmation was off.
    """
    return replace(thread, told=told, believes=told.stands)


def failed(thread: Thread, message: Message, reason: str) -> Thread:
    """It cannot be delivered at all: it counts as told, but nobody believes it."""
    ahead = replace(thread, told=message.told)
    return ahead.with_message(replace(message, status="failed", letter=None, reason=reason))


def _ours(thread: Thread, message_id: str) -> Message | None:
    message = thread.in_air
    return message if message is not None and message.id == message_id else None
