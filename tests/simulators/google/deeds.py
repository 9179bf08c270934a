"""What can be done to an event: insert, patch, update, delete, with Google's rules for each."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulators.clock import stamp
from simulators.google import errors
from simulators.google.calendars import Calendar, Event
from simulators.google.recurrence import instance
from simulators.google.shape import Fields, checked, merged, same_instant

OWN_ID = re.compile(r"[0-9a-v]{5,1024}")
KEPT = ("id", "iCalUID", "created", "creator", "organizer", "htmlLink", "sequence", "eventType")
UNLESS_GIVEN = {"status": "confirmed", "reminders": {"useDefault": True}}
KEPT_OF_INSTANCE = ("recurringEventId", "originalStartTime")


@dataclass(frozen=True)
class Deeds:
    """Changes one calendar in the name of one user; `changed` is told of every change."""

    calendar: Calendar
    user: str
    now: datetime
    revive: str
    changed: Callable[[Calendar], None]

    def insert(self, body: Fields) -> Event:
        if "id" in body and "iCalUID" in body:
            raise errors.invalid("Only one of id and iCalUID may be given.")
        new_id = body.get("id") or secrets.token_hex(13)
        if OWN_ID.fullmatch(new_id) is None:
            raise errors.invalid("Invalid resource id value.")
        if new_id in self.calendar.events:
            raise errors.duplicate()
        fields = checked({**self._first_fields(new_id), **merged({}, body)}, self.calendar.zone)
        return self._store(Event(fields, self.calendar.next_ordinal()))

    def patch(self, event: Event, changes: Fields) -> Event:
        return self._write(event, merged(event.fields, changes), changes)

    def update(self, event: Event, body: Fields) -> Event:
        kept = {k: event.fields[k] for k in (*KEPT, *KEPT_OF_INSTANCE) if k in event.fields}
        return self._write(event, {**kept, **UNLESS_GIVEN, **merged({}, body)}, body)

    def delete(self, event: Event) -> None:
        if event.cancelled:
            raise errors.deleted()
        for exception in list(self.calendar.exceptions_of(event)):
            self._cancel(exception)
        self._cancel(event)

    def find(self, event_id: str) -> Event:
        """The event or unchanged instance of this id; raises Google's 404."""
        event = self._known(event_id)
        if event is None:
            raise errors.not_found()
        return event

    def has(self, event_id: str) -> bool:
        return self._known(event_id) is not None

    def _known(self, event_id: str) -> Event | None:
        return self.calendar.events.get(event_id) or instance(event_id, self.calendar)

    def _write(self, event: Event, fields: Fields, asked: Fields) -> Event:
        _check_identity(event, asked)
        if event.cancelled and fields["status"] != "cancelled" and self.revive == "forbidden":
            raise errors.forbidden("Forbidden")
        fields = checked(fields, self.calendar.zone)
        if "sequence" not in asked and _moved(event, fields, self.calendar):
            fields["sequence"] = event.fields["sequence"] + 1
        ordinal = event.ordinal
        if event.id not in self.calendar.events:  # an instance becomes an exception of its series
            ordinal = self.calendar.next_ordinal()
        return self._store(Event(fields, ordinal))

    def _cancel(self, event: Event) -> None:
        self._store(Event({**event.fields, "status": "cancelled"}, event.ordinal))

    def _store(self, event: Event) -> Event:
        self.calendar.touch(event, now=self.now)
        self.changed(self.calendar)
        return event

    def _first_fields(self, new_id: str) -> dict[str, Any]:
        organizer = {"email": self.calendar.id, "self": True}
        if self.calendar.primary_of is None:
            organizer["displayName"] = self.calendar.summary
        return {
            "id": new_id,
            **UNLESS_GIVEN,
            "htmlLink": f"https://www.google.com/calendar/event?eid={new_id}",
            "created": stamp(self.now),
            "creator": {"email": self.user, "self": True},
            "organizer": organizer,
            "iCalUID": f"{new_id}@google.com",
            "sequence": 0,
            "eventType": "default",
        }


def _check_identity(event: Event, asked: Fields) -> None:
    """What an update may not change."""
    if asked.get("id", event.id) != event.id:
        raise errors.invalid("Invalid resource id value.")
    if asked.get("iCalUID", event.fields["iCalUID"]) != event.fields["iCalUID"]:
        raise errors.invalid("The iCalUID of an event cannot be changed.")
    if asked.get("eventType", event.fields["eventType"]) != event.fields["eventType"]:
        text = "The event type cannot be changed."
        raise errors.refusal(400, "calendar", "eventTypeRestriction", text)
    if (asked.get("sequence") or event.fields["sequence"]) < event.fields["sequence"]:
        text = "Invalid sequence value. The specified sequence number is below the current one."
        raise errors.invalid(text)


def _moved(event: Event, fields: Fields, calendar: Calendar) -> bool:
    return any(
        ("date" in fields[edge]) != ("date" in event.fields[edge])
        or not same_instant(fields[edge], event.fields[edge], calendar.zone)
        for edge in ("start", "end")
    )
