"""The users, calendars and events that exist in the simulated Google, each change numbered."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulators.clock import stamp

HOLIDAYS = "en.usa#holiday@group.v.calendar.google.com"
RANKS = ("freeBusyReader", "reader", "writer", "owner")


@dataclass
class Event:
    """`fields` are Google's own; times keep the form in which they were written."""

    fields: dict[str, Any]
    ordinal: int  # place among all events of its calendar, for ever
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
        """Of an instance that was changed by itself: the id of its series."""
        return self.fields.get("recurringEventId")


@dataclass
class Calendar:
    id: str
    summary: str
    zone: ZoneInfo
    roles: dict[str, str]  # user: accessRole
    primary_of: str | None = None
    events: dict[str, Event] = field(default_factory=dict)
    revision: int = 0
    forgotten: int = 0  # sync tokens of older revisions are dead

    def touch(self, event: Event, *, now: datetime) -> None:
        """Store the event as changed now."""
        self.revision += 1
        event.revision = self.revision
        event.fields["updated"] = stamp(now)
        event.fields["etag"] = f'"{3 * 10**15 + self.revision * 2000 + event.ordinal % 2000}"'
        self.events[event.id] = event

    def forget_tokens(self) -> None:
        """From now on every sync token given so far demands a full sync."""
        self.revision += 1
        self.forgotten = self.revision

    def next_ordinal(self) -> int:
        return len(self.events) + 1

    def live(self) -> Iterator[Event]:
        return (event for event in self.events.values() if not event.cancelled)

    def exceptions_of(self, master: Event) -> Iterator[Event]:
        return (event for event in self.events.values() if event.master_id == master.id)

    def allows(self, user: str, role: str) -> bool:
        return RANKS.index(self.roles[user]) >= RANKS.index(role)

    def shown(self) -> dict[str, Any]:
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
class Calendars:
    """All calendars; a user gets a primary one when first heard of."""

    all: dict[str, Calendar] = field(default_factory=dict)

    def welcome(self, user: str, *, zone: str, holidays: bool) -> None:
        if any(c.primary_of == user for c in self.all.values()):
            return
        self.all[user] = Calendar(user, user, ZoneInfo(zone), {user: "owner"}, primary_of=user)
        if holidays:
            shared = self.all.setdefault(
                HOLIDAYS, Calendar(HOLIDAYS, "Holidays in United States", ZoneInfo("UTC"), {})
            )
            shared.roles[user] = "reader"

    def add(
        self, user: str, *, calendar_id: str | None, summary: str, zone: str, role: str
    ) -> Calendar:
        """Another calendar that the user sees; a known id is shared with him."""
        new_id = calendar_id or f"c{len(self.all)}@group.calendar.google.com"
        calendar = self.all.setdefault(new_id, Calendar(new_id, summary, ZoneInfo(zone), {}))
        calendar.roles[user] = role
        return calendar

    def find(self, calendar_id: str, user: str) -> Calendar | None:
        """The calendar, if this user may see it; `primary` is his own."""
        calendar = self.all.get(user if calendar_id == "primary" else calendar_id)
        return calendar if calendar is not None and user in calendar.roles else None

    def of(self, user: str) -> list[Calendar]:
        return [calendar for calendar in self.all.values() if user in calendar.roles]
