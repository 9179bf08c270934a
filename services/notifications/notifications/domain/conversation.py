"""Conversations: the messages to one receiver about an appointment, or about all occurrences of a series.

A series is told as one: each occurrence has a thread of its own, and one message tells what is pending
in all of them. A single appointment is a conversation of one thread.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID, uuid5

from hoop_events.booking import Appointment
from hoop_platform.ids import from_uuid
from notifications.domain.history import assume_delivered
from notifications.domain.message import (
    Kind,
    OccurrenceContent,
    TimeRange,
    is_confirmed,
    link_of,
)
from notifications.domain.threads import (
    FINAL,
    NotifiedState,
    Occasion,
    Thread,
    ThreadMessage,
    current_state,
    is_on,
    pending_notice,
    unused_name,
)

_OCCASIONS = UUID("3c0f7f52-51a8-4d0e-9a5b-7a0f5a1f7d3e")


@dataclass(frozen=True)
class ConversationThread:
    """A thread with the newest state of its appointment."""

    thread: Thread
    state: Appointment

    @property
    def pending(self) -> Occasion | None:
        return pending_notice(self.thread, self.state)

    @property
    def is_on(self) -> bool:
        return is_on(self.state, self.thread)

    @property
    def after_message(self) -> NotifiedState:
        """What a message says of the appointment: of one that is off, that the time last notified is off."""
        if not self.is_on and self.thread.notified is not None:
            return replace(self.thread.notified, is_on=False)
        return current_state(self.state, self.thread)

    @property
    def times(self) -> tuple[TimeRange, TimeRange | None]:
        """The time that a message names, and the one before if it was another.

        Of what is off, the time last notified.
        """
        notified = self.thread.notified
        time = TimeRange(self.state.start_time, self.state.end_time)
        if notified is None:
            return time, None
        before = TimeRange(notified.start, notified.end)
        if not self.is_on:
            return before, None
        return time, before if notified.is_on and before != time else None

    def occurrence(self, *, is_news: bool) -> OccurrenceContent:
        """What a message about the series says of this occurrence."""
        time, previous_time = self.times
        join_url, link_status = link_of(self.state, is_on=self.is_on)
        return OccurrenceContent(
            appointment_id=self.state.id,
            sequence=self.state.sequence,
            time=time,
            previous_time=previous_time,
            join_url=join_url,
            link_status=link_status,
            is_on=self.is_on,
            confirmed=is_confirmed(self.state),
            is_news=is_news,
        )


@dataclass(frozen=True)
class Conversation:
    """The threads of one receiver, by start; at least one."""

    threads: Sequence[ConversationThread]

    @property
    def is_series(self) -> bool:
        return self.threads[0].state.series is not None

    @property
    def messages(self) -> Sequence[ThreadMessage]:
        return self.threads[0].thread.messages

    @property
    def end_time(self) -> datetime:
        """The end of the last appointment."""
        return max(each.state.end_time for each in self.threads)

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

    def if_delivered(self) -> "Conversation":
        """The conversation as it is if the message in flight has been delivered."""
        return Conversation(
            [ConversationThread(assume_delivered(e.thread), e.state) for e in self.threads]
        )

    def ahead(self, now: datetime) -> Sequence[ConversationThread]:
        """The threads of appointments that are not over."""
        return [each for each in self.threads if each.state.end_time > now]

    def pending(self, now: datetime) -> Mapping[str, Occasion]:
        """What is pending, by appointment; of those that are over only if all are."""
        threads = self.ahead(now) or self.threads
        found = ((each.state.id, each.pending) for each in threads)
        return {id_: occasion for id_, occasion in found if occasion is not None}

    def occasion(self, pending: Mapping[str, Occasion]) -> Occasion | None:
        """The occasion of the one message that tells all that is pending."""
        if not pending:
            return None
        if not self.is_series:
            [occasion] = pending.values()
            return occasion
        kinds = {occasion.kind for occasion in pending.values()}
        kind: Kind = kinds.pop() if len(kinds) == 1 else "updated"
        names = sorted(f"{id_} {occasion.name}" for id_, occasion in pending.items())
        name = f"{kind}:{from_uuid(uuid5(_OCCASIONS, ' '.join(names)))}"
        return Occasion(kind, unused_name(name, self.threads[0].thread.used_occasions))

    def listed(
        self, pending: Mapping[str, Occasion], now: datetime
    ) -> Sequence[ConversationThread]:
        """What a message tells of: all that lies ahead with the receiver, and what is pending."""
        ahead = {each.state.id for each in self.ahead(now) if each.is_on}
        return [each for each in self.threads if each.state.id in ahead | pending.keys()]
