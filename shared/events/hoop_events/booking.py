"""What the booking service announces of appointments, and of the seats held before them."""

from typing import ClassVar, Literal

from hoop_events.base import Contract, Event, Gone, Id, Moment, Personal, State

MeetingProvider = Literal["zoom", "teams", "gmeet"]
MeetingState = Literal["none", "pending", "ready", "blocked", "detached", "failed"]
Status = Literal[
    "new", "confirmed", "active", "showed", "noshow", "completed", "cancelled", "invalid"
]


class Meeting(Contract):
    """The online meeting of an appointment, or why there is none (yet)."""

    provider: MeetingProvider | None = None
    state: MeetingState = "none"
    join_url: str | None = None
    reason: str | None = None
    message: str | None = None
    expected_at: Moment | None = None


class Series(Contract):
    """Of an appointment that is one occurrence of a series: which one, whatever it was moved to."""

    master: Id
    """The id of the series. No appointment has it."""
    rrule: str
    start: Moment
    """When the rule says that it starts."""
    occurrence_id: str
    """Its id in the API: `<master>_<start in epoch ms>_<length in seconds>`, by the rule."""


class Appointment(State):
    """An appointment: what GET answers, and what consumers need to act without asking back."""

    id: Id
    version: int
    calendar_id: Id
    location_id: Id
    contact_id: Id
    group_id: Id | None = None
    """Of its calendar, when this was announced."""
    start_time: Moment
    end_time: Moment
    time_zone: str
    appointment_status: Status
    assigned_user_id: Id | None = None
    occupies: bool
    deleted: bool = False
    confirmed: bool
    """It has been confirmed once (by a person, or at once by the calendar's `autoConfirm`)."""
    session: Id
    """The id of `(calendar, host, start)` as long as somebody is booked there; never reused."""
    shared: bool = False
    """The session has several seats, or had when it was opened."""
    time_revision: int = 1
    """Grows with each change of start, end or host."""
    hosts: tuple[Id, ...]
    """Who is there; the first one's account makes the meeting. Without members, the calendar."""
    resources: tuple[Id, ...] = ()
    buffer_before: int = 0
    buffer_after: int = 0
    """Minutes that the hosts keep free around it."""
    meeting_location_type: str = "default"
    meeting_location_id: str = "default"
    """The `meetingId` among the locations of its host, if it was chosen."""
    meeting: Meeting = Meeting()
    series: Series | None = None
    versions: dict[Id, int] = {}
    """The version of each calendar, host and resource it touched: what a read token is made of."""
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
    """The first announcement, or it begins to occupy time (again)."""

    type: ClassVar = "AppointmentCreated"


class AppointmentRescheduled(AppointmentEvent):
    """Its start, its end or its host changed."""

    type: ClassVar = "AppointmentRescheduled"


class AppointmentUpdated(AppointmentEvent):
    """Anything else changed: title, status `showed` or `noshow`, the join link."""

    type: ClassVar = "AppointmentUpdated"


class AppointmentDeleted(AppointmentEvent):
    """It stopped to occupy time; `change.reason` says `cancelled` or `deleted`."""

    type: ClassVar = "AppointmentDeleted"


class Hold(State):
    """A seat kept for somebody until `expiresAt`; whoever reads it later takes it for gone."""

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
    """As of an appointment: what a read token is made of."""

    @property
    def occupies(self) -> bool:
        """A hold always does; by when it no longer counts, its readers know themselves."""
        return True


class HoldChanged(Event):
    topic: ClassVar = "holds"
    key: ClassVar = "hold"
    type: ClassVar = "HoldChanged"
    source: ClassVar = "/booking"
    state: Hold


class HoldDeleted(Event):
    """It was released, ran out, or became an appointment (`change.reason`), which is announced first."""

    topic: ClassVar = "holds"
    key: ClassVar = "hold"
    type: ClassVar = "HoldDeleted"
    source: ClassVar = "/booking"
    state: Gone
