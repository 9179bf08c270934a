"""The events of Hoop: contracts and codec, for our services and for everybody who subscribes."""

from hoop_events.accounts import (
    Account,
    AccountChanged,
    ApiKey,
    ApiKeyChanged,
    ApiKeyDeleted,
    Contact,
    ContactChanged,
    ContactDeleted,
    ContactDetails,
    Limits,
    Location,
    LocationChanged,
    LocationDeleted,
    User,
    UserChanged,
    UserDeleted,
)
from hoop_events.base import Change, Event, Gone, Id, Moment, State
from hoop_events.booking import (
    Appointment,
    AppointmentCreated,
    AppointmentDeleted,
    AppointmentEvent,
    AppointmentRescheduled,
    AppointmentUpdated,
    Calendar,
    CalendarChanged,
    CalendarDeleted,
    Meeting,
    Personal,
)
from hoop_events.codec import (
    Envelope,
    Undecodable,
    UnknownType,
    attributes,
    body,
    decode,
    envelope,
)
from hoop_events.effects import (
    BusyInterval,
    BusyWeek,
    CalendarPushFailed,
    Connection,
    ConnectionChanged,
    ExternalBusyChanged,
    FailedPush,
    MeetingLink,
    MeetingLinkChanged,
    Message,
    NotificationFailed,
    NotificationSent,
)

ALL: tuple[type[Event], ...] = (
    AccountChanged,
    LocationChanged,
    LocationDeleted,
    UserChanged,
    UserDeleted,
    ContactChanged,
    ContactDeleted,
    ApiKeyChanged,
    ApiKeyDeleted,
    CalendarChanged,
    CalendarDeleted,
    AppointmentCreated,
    AppointmentRescheduled,
    AppointmentUpdated,
    AppointmentDeleted,
    MeetingLinkChanged,
    ConnectionChanged,
    ExternalBusyChanged,
    CalendarPushFailed,
    NotificationSent,
    NotificationFailed,
)
"""Every event there is."""

TOPICS: tuple[str, ...] = tuple(dict.fromkeys(event.topic for event in ALL))
