"""What a client says of an appointment: the newcomer, and what is to be different."""

from dataclasses import dataclass
from datetime import datetime

from hoop_events.booking import Series

OCCUPYING = frozenset({"new", "confirmed", "active", "showed", "noshow", "completed"})
CONFIRMED = OCCUPYING - {"new"}


@dataclass(frozen=True)
class Patch:
    """What a client wants to be different; None: as it is (or, at creation, the default)."""

    calendar_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    host: str | None = None
    status: str | None = None
    place: str | None = None
    """A `meetingLocationType`; of it and `place_id`, a `meetingLocationId`, one at most is said."""
    place_id: str | None = None
    title: str | None = None
    description: str | None = None
    address: str | None = None
    rrule: str | None = None
    notify: bool = True
    ignore_range: bool = False
    ignore_rules: bool = False
    delete: bool = False
    because: str = "deleted"
    """What subscribers are told of a deletion."""
    actor: str | None = None


@dataclass(frozen=True)
class Newcomer:
    """What a client says of a new appointment besides the time."""

    id: str
    contact_id: str
    series: Series | None = None
