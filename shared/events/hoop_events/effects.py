"""The events of the services that call providers: links, connections, busy times, messages."""

from typing import ClassVar, Literal

from hoop_events.base import Contract, Event, Id, Moment, State
from hoop_events.booking import Meeting, MeetingProvider


class MeetingLink(State):
    """The meeting of one session at one provider; `id` is `<session>.<provider>`."""

    session: Id
    provider: MeetingProvider
    meeting: Meeting


class MeetingLinkChanged(Event):
    """For booking, which adds the meeting to every appointment of the session."""

    topic: ClassVar = "meetings"
    key: ClassVar = "session.provider"
    type: ClassVar = "MeetingLinkChanged"
    source: ClassVar = "/meetings"
    state: MeetingLink


class Connection(State):
    """A provider account, connected to a user (Zoom, Teams) or a calendar (Google, iCloud)."""

    id: Id
    provider: str
    owner_kind: Literal["user", "calendar"]
    owner_id: Id
    status: Literal["active", "pending", "disconnected"]
    reason: str | None = None
    label: str | None = None
    """The name of the account at the provider, usually an e-mail address."""
    last_sync_at: Moment | None = None
    connected_at: Moment | None = None


class ConnectionChanged(Event):
    """Announced by the service of the provider, which the record's `ce_source` names."""

    topic: ClassVar = "connections"
    key: ClassVar = "connection"
    type: ClassVar = "ConnectionChanged"
    source: ClassVar = "/connections"
    state: Connection


class BusyInterval(Contract):
    """Half-open: `[start, end)`."""

    start: Moment
    end: Moment


class BusyWeek(State):
    """The busy times of a connected calendar in one ISO week (UTC); `id` is `<connection>:<week>`."""

    connection_id: Id
    week: str
    """`2027-W09`; an interval across the border is split into both weeks."""
    calendar_id: Id
    user_id: Id | None
    """The user who is busy, in every calendar of the account; None: the calendar itself is busy."""
    intervals: tuple[BusyInterval, ...]


class ExternalBusyChanged(Event):
    topic: ClassVar = "busy"
    key: ClassVar = "connection:week"
    type: ClassVar = "ExternalBusyChanged"
    source: ClassVar = "/sync"
    state: BusyWeek


class FailedPush(State):
    """An appointment that could not be written to a connected calendar; `id` identifies the pair."""

    appointment_id: Id
    connection_id: Id
    reason: str


class CalendarPushFailed(Event):
    topic: ClassVar = "sync"
    key: ClassVar = "appointment and connection"
    type: ClassVar = "CalendarPushFailed"
    source: ClassVar = "/sync"
    state: FailedPush


class Message(State):
    """One message to one receiver about one occasion."""

    id: Id
    appointment_id: Id
    occasion: str
    receiver_id: Id
    channel: Literal["email"] = "email"
    reason: str | None = None


class NotificationSent(Event):
    topic: ClassVar = "notifications"
    key: ClassVar = "message"
    type: ClassVar = "NotificationSent"
    source: ClassVar = "/notifications"
    state: Message


class NotificationFailed(Event):
    topic: ClassVar = "notifications"
    key: ClassVar = "message"
    type: ClassVar = "NotificationFailed"
    source: ClassVar = "/notifications"
    state: Message
