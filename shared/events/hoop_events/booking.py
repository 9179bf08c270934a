"""The events of the booking service about appointments and holds."""

from typing import ClassVar, Literal

from hoop_events.base import Contract, Event, Gone, Id, Moment, Personal, State

MeetingProvider = str
"""`zoom`, `teams`, `gmeet`. No enumeration: readers of older schemas accept a provider that is added."""
MeetingState = Literal["none", "pending", "ready", "blocked", "detached", "failed"]
Status = Literal[
    "new", "confirmed", "active", "showed", "noshow", "completed", "cancelled", "invalid"
]


class Meeting(Contract):
    """The online meeting of an appointment; `state`, `reason` and `message` say why there is none."""

    provider: MeetingProvider | None = None
    state: MeetingState = "none"
    join_url: str | None = None
    reason: str | None = None
    message: str | None = None
    expected_at: Moment | None = None


class Series(Contract):
    """The series of which an appointment is an occurrence, and which one, even if it was moved."""

    master: Id
    """The id of the series, which is the id of no appointment."""
    rrule: str
    start: Moment
    """The start of the occurrence by the rule."""
    occurrence_id: str
    """The occurrence's id in the API, by the rule: `<master>_<start in epoch ms>_<length in s>`."""


class Appointment(State):
    """An appointment: all that the API returns, and all that consumers need to act on it."""

    id: Id
    version: int
    calendar_id: Id
    location_id: Id
    contact_id: Id
    group_id: Id | None = None
    """The group of its calendar at the time of the event."""
    start_time: Moment
    end_time: Moment
    time_zone: str
    appointment_status: Status
    assigned_user_id: Id | None = None
    occupies: bool
    deleted: bool = False
    confirmed: bool
    """Whether it was ever confirmed, by a person or by the calendar's `autoConfirm`."""
    session: Id
    """The id of `(calendar, host, start)` while appointments are booked there; never reused."""
    shared: bool = False
    """Whether the session has several seats, or had when it was opened."""
    time_revision: int = 1
    """Grows with each change of start, end or host."""
    hosts: tuple[Id, ...]
    """The hosts; the meeting is created in the first one's provider account. Of a calendar without
    members, the calendar's id."""
    needs_host: bool = False
    """Whether one of the hosts was deleted from the account, so that another is to be assigned."""
    resources: tuple[Id, ...] = ()
    buffer_before: int = 0
    buffer_after: int = 0
    """Minutes that the hosts keep free before and after the appointment."""
    meeting_location_type: str = "default"
    meeting_location_id: str = "default"
    """The `meetingId` among the locations of its host, if one was chosen."""
    meeting: Meeting = Meeting()
    series: Series | None = None
    versions: dict[Id, int] = {}
    """The version of each calendar, host and resource that the change affected: the content of a
    consistency token."""
    personal: Personal = Personal()
    date_added: Moment
    date_updated: Moment


class AppointmentEvent(Event):
    topic: ClassVar = "appointments"
    key: ClassVar = "appointment"
    history_days: ClassVar = 14
    source: ClassVar = "/booking"
    state: Appointment


class AppointmentCreated(AppointmentEvent):
    """The appointment is new, or it occupies time again."""

    type: ClassVar = "AppointmentCreated"


class AppointmentRescheduled(AppointmentEvent):
    """The appointment's start, end or host changed."""

    type: ClassVar = "AppointmentRescheduled"


class AppointmentUpdated(AppointmentEvent):
    """Anything else of the appointment changed: title, status `showed` or `noshow`, the join link.

    Also that a host was deleted: then `needsHost` is true and `change.reason` is `user_deleted`.
    """

    type: ClassVar = "AppointmentUpdated"


class AppointmentDeleted(AppointmentEvent):
    """The appointment no longer occupies time; `change.reason` is `cancelled` or `deleted`."""

    type: ClassVar = "AppointmentDeleted"


class Hold(State):
    """A seat kept until `expiresAt`. Consumers compare this instant themselves: no event follows it."""

    id: Id
    calendar_id: Id
    location_id: Id
    start_time: Moment
    end_time: Moment
    time_zone: str
    session: Id
    hosts: tuple[Id, ...]
    resources: tuple[Id, ...] = ()
    buffer_before: int = 0
    buffer_after: int = 0
    expires_at: Moment
    versions: dict[Id, int] = {}
    """See `Appointment.versions`."""

    @property
    def occupies(self) -> bool:
        """True, as for an appointment that occupies time; consumers compare `expiresAt` themselves."""
        return True


class HoldChanged(Event):
    topic: ClassVar = "holds"
    key: ClassVar = "hold"
    type: ClassVar = "HoldChanged"
    source: ClassVar = "/booking"
    state: Hold


class HoldDeleted(Event):
    """The hold was released, expired, or became an appointment, whose event precedes this one.

    `change.reason` says which.
    """

    topic: ClassVar = "holds"
    key: ClassVar = "hold"
    type: ClassVar = "HoldDeleted"
    source: ClassVar = "/booking"
    state: Gone
