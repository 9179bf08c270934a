"""What a decision is based on: a calendar, its open sessions, and what is taken around a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from booking.domain.calendars import Calendar
from hoop_events.booking import Meeting
from hoop_scheduling.busy import Busy


@dataclass(frozen=True)
class Session:
    """An open session: all appointments and holds of one calendar, host and start."""

    id: str
    calendar_id: str
    hosts: tuple[str, ...]
    starts: datetime
    ends: datetime
    shared: bool
    revision: int
    seats: frozenset[int]
    resources: tuple[str, ...] = ()
    before: int = 0
    after: int = 0
    """Minutes before and after the session in which its hosts and its room take nothing else."""
    meetings: Mapping[str, Meeting] = field(default_factory=dict)
    attending: str | None = None
    """The id in the API of another appointment of the same contact that has a seat."""


@dataclass(frozen=True)
class Snapshot:
    """What was read without locks for one decision; it holds as long as the versions do."""

    calendar: Calendar
    versions: Mapping[str, int]
    """Of the calendar, its hosts, the resources it needs, and what the changed appointment occupies."""
    busy: Mapping[str, Busy] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)
    """By id: the open ones of the calendar at the requested start, and that of the changed appointment."""
    day_counts: Mapping[date, int] = field(default_factory=dict)
    loads: Mapping[str, int] = field(default_factory=dict)
    seat: int | None = None
    """The seat of the appointment or hold that is changed."""
    expired: tuple[str, ...] = ()
    """Expired holds around the requested time, which must be released before a decision."""
    contact_name: str | None = None
    """The name of the contact, which may be empty; None for no contact, or one the account lacks."""
    former_host: str | None = None
    """The host of the contact's latest appointment on the calendar, if it has `stickyContact`."""
