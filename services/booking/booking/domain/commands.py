"""What a client asks of an appointment: a new one, and a change of one."""

from dataclasses import dataclass
from datetime import datetime

from hoop_events.booking import Series

OCCUPYING = frozenset({"new", "confirmed", "active", "showed", "noshow", "completed"})
"""The states in which an appointment takes time."""
CONFIRMED = OCCUPYING - {"new"}


@dataclass(frozen=True)
class AppointmentPatch:
    """The fields that a client sets; None leaves a field as it is (or, at creation, at its default).

    At most one of `meeting_location_type` and `meeting_location_id` is set.
    """

    calendar_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    host: str | None = None
    status: str | None = None
    meeting_location_type: str | None = None
    meeting_location_id: str | None = None
    title: str | None = None
    description: str | None = None
    address: str | None = None
    rrule: str | None = None
    notify: bool = True
    ignore_range: bool = False
    ignore_rules: bool = False
    relieve: str | None = None
    """A user whom `host`, or any member who is free, replaces as the host. Nothing else is changed,
    and nothing at all where the user is no host (any more)."""
    delete: bool = False
    delete_reason: str = "deleted"
    """The `change.reason` of the event that announces a deletion."""
    actor: str | None = None


@dataclass(frozen=True)
class NewAppointment:
    """The id and the contact of a new appointment, and the series that it is an occurrence of."""

    id: str
    contact_id: str
    series: Series | None = None
