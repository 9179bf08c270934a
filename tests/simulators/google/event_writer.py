"""Writes events: insert, patch, update and delete, with Google's rules for each."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulators.clock import format_instant
from simulators.google import errors
from simulators.google.calendars import CalendarEvent, GoogleCalendar
from simulators.google.event_fields import Fields, apply_patch, same_instant, validate_fields
from simulators.google.recurrence import instance

EVENT_ID = re.compile(r"[0-9a-v]{5,1024}")
KEPT_BY_UPDATE = (
    "id",
    "iCalUID",
    "created",
    "creator",
    "organizer",
    "htmlLink",
    "sequence",
    "eventType",
)
DEFAULT_FIELDS = {"status": "confirmed", "reminders": {"useDefault": True}}
KEPT_BY_UPDATE_OF_INSTANCE = ("recurringEventId", "originalStartTime")


@dataclass(frozen=True)
class EventWriter:
    """Writes the events of one calendar for one user; calls `changed` after every write."""

    calendar: GoogleCalendar
    user: str
    now: datetime
    revive: str
    changed: Callable[[GoogleCalendar], None]

    def insert(self, body: Fields) -> CalendarEvent:
        if "id" in body and "iCalUID" in body:
            raise errors.invalid("Only one of id and iCalUID may be given.")
        new_id = body.get("id") or secrets.token_hex(13)
        if EVENT_ID.fullmatch(new_id) is None:
            raise errors.invalid("Invalid resource id value.")
        if new_id in self.calendar.events:
            raise errors.duplicate()
        fields = validate_fields(
            {**self._first_fields(new_id), **apply_patch({}, body)}, self.calendar.zone
        )
        return self._store(CalendarEvent(fields, self.calendar.next_ordinal()))

    def patch(self, event: CalendarEvent, changes: Fields) -> CalendarEvent:
        return self._write(event, apply_patch(event.fields, changes), changes)

    def update(self, event: CalendarEvent, body: Fields) -> CalendarEvent:
        kept = {
            k: event.fields[k]
            for k in (*KEPT_BY_UPDATE, *KEPT_BY_UPDATE_OF_INSTANCE)
            if k in event.fields
        }
        return self._write(event, {**kept, **DEFAULT_FIELDS, **apply_patch({}, body)}, body)

    def delete(self, event: CalendarEvent) -> None:
        if event.cancelled:
            raise errors.deleted()
        for exception in list(self.calendar.exceptions_of(event)):
            self._cancel(exception)
        self._cancel(event)

    def find(self, event_id: str) -> CalendarEvent:
        """The event, or instance of a series, of this id. Raises Google's 404."""
        event = self._known(event_id)
        if event is None:
            raise errors.not_found()
        return event

    def has(self, event_id: str) -> bool:
        return self._known(event_id) is not None

    def _known(self, event_id: str) -> CalendarEvent | None:
        return self.calendar.events.get(event_id) or instance(event_id, self.calendar)

    def _write(self, event: CalendarEvent, fields: Fields, requested: Fields) -> CalendarEvent:
        _check_identity(event, requested)
        if event.cancelled and fields["status"] != "cancelled" and self.revive == "forbidden":
            raise errors.forbidden("Forbidden")
        fields = validate_fields(fields, self.calendar.zone)
        if "sequence" not in requested and _moved(event, fields, self.calendar):
            fields["sequence"] = event.fields["sequence"] + 1
        ordinal = event.ordinal
        if event.id not in self.calendar.events:  # an instance becomes an exception of its series
            ordinal = self.calendar.next_ordinal()
        return self._store(CalendarEvent(fields, ordinal))

    def _cancel(self, event: CalendarEvent) -> None:
        self._store(CalendarEvent({**event.fields, "status": "cancelled"}, event.ordinal))

    def _store(self, event: CalendarEvent) -> CalendarEvent:
        self.calendar.touch(event, now=self.now)
        self.changed(self.calendar)
        return event

    def _first_fields(self, new_id: str) -> dict[str, Any]:
        organizer = {"email": self.calendar.id, "self": True}
        if self.calendar.primary_of is None:
            organizer["displayName"] = self.calendar.summary
        return {
            "id": new_id,
            **DEFAULT_FIELDS,
            "htmlLink": f"https://www.google.com/calendar/event?eid={new_id}",
            "created": format_instant(self.now),
            "creator": {"email": self.user, "self": True},
            "organizer": organizer,
            "iCalUID": f"{new_id}@google.com",
            "sequence": 0,
            "eventType": "default",
        }


def _check_identity(event: CalendarEvent, requested: Fields) -> None:
    """Raise Google's 400 if fields change that an update may not change."""
    if requested.get("id", event.id) != event.id:
        raise errors.invalid("Invalid resource id value.")
    if requested.get("iCalUID", event.fields["iCalUID"]) != event.fields["iCalUID"]:
        raise errors.invalid("The iCalUID of an event cannot be changed.")
    if requested.get("eventType", event.fields["eventType"]) != event.fields["eventType"]:
        text = "The event type cannot be changed."
        raise errors.refusal(400, "calendar", "eventTypeRestriction", text)
    if (requested.get("sequence") or event.fields["sequence"]) < event.fields["sequence"]:
        text = "Invalid sequence value. The specified sequence number is below the current one."
        raise errors.invalid(text)


def _moved(event: CalendarEvent, fields: Fields, calendar: GoogleCalendar) -> bool:
    return any(
        ("date" in fields[edge]) != ("date" in event.fields[edge])
        or not same_instant(fields[edge], event.fields[edge], calendar.zone)
        for edge in ("start", "end")
    )
