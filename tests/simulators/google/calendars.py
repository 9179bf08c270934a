"""The calendars and events that exist in the simulated Google; each change has a revision number."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulators.clock import format_instant

HOLIDAYS = "en.usa#holiday@group.v.calendar.google.com"
RANKS = ("freeBusyReader", "reader", "writer", "owner")


@dataclass
class CalendarEvent:
    """One event. `fields` are Google's; times keep the form in which they were written."""

    fields: dict[str, Any]
    ordinal: int  # position among all events of its calendar; never changes
    revision: int = 0  # of the calendar when this event last changed

    @property
    def id(self) -> str:
        return str(self.fields["id"])

    @property
    def cancelled(self) -> bool:
        return bool(self.fields["status"] == "cancelled")

    @property
    def recurring(self) -> bool:
        return "recurrence" in self.fields

    @property
    def master_id(self) -> str | None:
        """The id of the series, if this is an instance that was changed by itself."""
        return self.fields.get("recurringEventId")


@dataclass
class GoogleCalendar:
    """One calendar with its events."""

    id: str
    summary: str
    zone: ZoneInfo
    roles: dict[str, str]  # user: accessRole
    primary_of: str | None = None
    events: dict[str, CalendarEvent] = field(default_factory=dict)
    revision: int = 0
    oldest_valid: int = 0  # sync tokens of older revisions have expired

    def touch(self, event: CalendarEvent, *, now: datetime) -> None:
        """Store the event as changed now."""
        self.revision += 1
        event.revision = self.revision
        event.fields["updated"] = format_instant(now)
        event.fields["etag"] = f'"{3 * 10**15 + self.revision * 2000 + event.ordinal % 2000}"'
        self.events[event.id] = event

    def expire_sync_tokens(self) -> None:
        """Let every sync token issued so far require a full sync."""
        self.revision += 1
        self.oldest_valid = self.revision

    def next_ordinal(self) -> int:
        return len(self.events) + 1

    def live(self) -> Iterator[CalendarEvent]:
        return (event for event in self.events.values() if not event.cancelled)

    def exceptions_of(self, master: CalendarEvent) -> Iterator[CalendarEvent]:
        return (event for event in self.events.values() if event.master_id == master.id)

    def allows(self, user: str, role: str) -> bool:
        return RANKS.index(self.roles[user]) >= RANKS.index(role)

    def as_json(self) -> dict[str, Any]:
        live = [event.id for event in self.live()]
        return {
            "id": self.id,
            "summary": self.summary,
            "timeZone": self.zone.key,
            "roles": self.roles,
            "primaryOf": self.primary_of,
            "events": live,
        }


@dataclass
class CalendarStore:
    """All calendars by id."""

    all: dict[str, GoogleCalendar] = field(default_factory=dict)

    def ensure_user(self, user: str, *, zone: str, holidays: bool) -> None:
        """Create the primary calendar of a user who has none."""
        if any(c.primary_of == user for c in self.all.values()):
            return
        self.all[user] = GoogleCalendar(
            user, user, ZoneInfo(zone), {user: "owner"}, primary_of=user
        )
        if holidays:
            shared = self.all.setdefault(
                HOLIDAYS, GoogleCalendar(HOLIDAYS, "Holidays in United States", ZoneInfo("UTC"), {})
            )
            shared.roles[user] = "reader"

    def add(
        self, user: str, *, calendar_id: str | None, summary: str, zone: str, role: str
    ) -> GoogleCalendar:
        """Create a calendar, or share the existing one of this id, and give the user this role."""
        new_id = calendar_id or f"c{len(self.all)}@group.calendar.google.com"
        calendar = self.all.setdefault(new_id, GoogleCalendar(new_id, summary, ZoneInfo(zone), {}))
        calendar.roles[user] = role
        return calendar

    def find(self, calendar_id: str, user: str) -> GoogleCalendar | None:
        """The calendar, if this user may see it; `primary` is the user's own."""
        calendar = self.all.get(user if calendar_id == "primary" else calendar_id)
        return calendar if calendar is not None and user in calendar.roles else None

    def of(self, user: str) -> list[GoogleCalendar]:
        return [calendar for calendar in self.all.values() if user in calendar.roles]
