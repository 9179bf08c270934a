"""`events.list`: filters, pages and sync tokens, and the combinations that Google refuses."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from multidict import MultiMapping

from simulators.google import errors
from simulators.google.calendars import CalendarEvent, GoogleCalendar
from simulators.google.event_fields import Fields, event_body, instant_of, tombstone, zone_named
from simulators.google.recurrence import HORIZON, instances

# a list filtered by one of these has no sync token
NO_SYNC_AFTER = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "updatedMin",
)
NOT_WITH_SYNC = (*NO_SYNC_AFTER, "timeMin", "timeMax")
SAME_AS_FIRST = ("singleEvents", "eventTypes", "showHiddenInvitations")
OLDEST_UPDATED_MIN = timedelta(days=28)
Query = MultiMapping[str]
Key = list[Any]


@dataclass(frozen=True)
class EventListRequest:
    """One request of `events.list` on one calendar."""

    calendar: GoogleCalendar
    query: Query
    now: datetime
    largest_page: int
    max_changes: int  # after which a sync token expires; 0: never

    def page(self) -> Fields:
        """The requested page: items, and the token of the next page or of the next sync."""
        since, position = self._since(), self._position()
        rows = sorted(self._changed(since) if since is not None else self._all(), key=_sort_key)
        rest = [row for row in rows if position is None or row[0] > position["after"]]
        size = min(int(self.query.get("maxResults", "250")), self.largest_page)
        started = position["revision"] if position else self.calendar.revision
        items = [item for _, item in rest[:size]]
        if len(rest) > size:
            token = {"after": rest[size - 1][0], "revision": started, "of": self._fingerprint()}
            return {"items": items, "nextPageToken": _encode_token(token)}
        if any(name in self.query for name in NO_SYNC_AFTER):
            return {"items": items}
        revision = self.calendar.revision if since is not None else started
        return {"items": items, "nextSyncToken": self._sync_token(revision)}

    def _sync_token(self, revision: int) -> str:
        same = [self.query.get(name, "") for name in SAME_AS_FIRST]
        return _encode_token({"calendar": self.calendar.id, "revision": revision, "same": same})

    def _since(self) -> int | None:
        """The revision of the sync token; None for a full list."""
        if "syncToken" not in self.query:
            return None
        for name in NOT_WITH_SYNC:
            if name in self.query:
                text = "Sync token cannot be used with other query restrictions."
                raise errors.bad_parameter("syncToken", text, reason="invalid")
        if self.query.get("showDeleted") == "false":
            text = "showDeleted cannot be false with a sync token."
            raise errors.bad_parameter("showDeleted", text, reason="invalid")
        return self._known_revision(_decode_token(self.query["syncToken"], "syncToken"))

    def _known_revision(self, token: dict[str, Any]) -> int:
        if token.get("calendar") != self.calendar.id:
            raise errors.bad_parameter("syncToken", "Invalid sync token value.", reason="invalid")
        if token["same"] != [self.query.get(name, "") for name in SAME_AS_FIRST]:
            text = "The sync token was issued for other query parameters."
            raise errors.bad_parameter("syncToken", text, reason="invalid")
        revision = int(token["revision"])
        aged = self.max_changes and self.calendar.revision - revision > self.max_changes
        if revision < self.calendar.oldest_valid or aged:
            raise errors.full_sync_required()
        return revision

    def _position(self) -> dict[str, Any] | None:
        if "pageToken" not in self.query:
            return None
        position = _decode_token(self.query["pageToken"], "pageToken")
        if position.get("of") != self._fingerprint():
            text = "The page token was issued for another request."
            raise errors.bad_parameter("pageToken", text, reason="invalid")
        return position

    def _fingerprint(self) -> list[list[str]]:
        """The parameters that must not change from page to page."""
        free = ("pageToken", "maxResults", "fields")
        pairs = [[k, v] for k, v in self.query.items() if k not in free]
        return [["calendar", self.calendar.id], *sorted(pairs)]

    def _changed(self, since: int) -> Iterator[tuple[Key, Fields]]:
        """The events changed after that revision, deleted ones included."""
        for event in self.calendar.events.values():
            if event.revision > since:
                for number, row in enumerate(self._expanded(event, self.now + HORIZON)):
                    yield [event.revision, number], self._item(row)

    def _all(self) -> Iterator[tuple[Key, Fields]]:
        self._check_window()
        until = self._instant("timeMax") or self.now + HORIZON
        for event in self.calendar.events.values():
            for number, row in enumerate(self._expanded(event, until)):
                if self._matches(row):
                    yield self._row_key(row, number), self._item(row)

    def _expanded(self, event: CalendarEvent, until: datetime) -> Iterator[CalendarEvent]:
        """The event itself, or the instances of its series with `singleEvents`."""
        if event.recurring and self.query.get("singleEvents") == "true":
            yield from instances(event, self.calendar, until=until)
        else:
            yield event

    def _row_key(self, event: CalendarEvent, number: int) -> Key:
        order = self.query.get("orderBy")
        if order == "startTime":
            start = instant_of(event.fields["start"], self.calendar.zone)
            return [start.timestamp(), event.id]
        if order == "updated":
            return [event.fields["updated"], event.id]
        return [event.ordinal, number]

    def _item(self, event: CalendarEvent) -> Fields:
        if event.cancelled:
            return tombstone(event.fields)
        return event_body(event.fields, zone_of(self.calendar, self.query), self.calendar.zone)

    def _check_window(self) -> None:
        low, high = self._instant("timeMin"), self._instant("timeMax")
        if low and high and low >= high:
            text = "The specified time range is empty."
            where = {"locationType": "parameter", "location": "timeMax"}
            raise errors.refusal(400, "calendar", "timeRangeEmpty", text, **where)
        if self.query.get("orderBy") == "startTime" and self.query.get("singleEvents") != "true":
            text = "The requested ordering is not available for the particular query."
            raise errors.bad_parameter("orderBy", text, reason="invalid")
        updated = self._instant("updatedMin")
        if updated and updated < self.now - OLDEST_UPDATED_MIN:
            text = "The requested minimum modification time lies too far in the past."
            raise errors.refusal(410, "calendar", "updatedMinTooLongAgo", text)

    def _instant(self, name: str) -> datetime | None:
        return datetime.fromisoformat(self.query[name]) if name in self.query else None

    def _matches(self, event: CalendarEvent) -> bool:
        return (
            self._is_listed(event)
            and self._in_window(event)
            and self._matches_filters(event.fields)
        )

    def _is_listed(self, event: CalendarEvent) -> bool:
        if not event.cancelled or self.query.get("showDeleted") == "true":
            return True
        updated = self._instant("updatedMin")
        if updated and datetime.fromisoformat(event.fields["updated"]) >= updated:
            return True
        master = self.calendar.events.get(event.master_id or "")
        single = self.query.get("singleEvents") == "true"
        return master is not None and not master.cancelled and not single

    def _in_window(self, event: CalendarEvent) -> bool:
        """`timeMin` is compared with the end, `timeMax` with the start; a series is always in the window."""
        low, high = self._instant("timeMin"), self._instant("timeMax")
        updated = self._instant("updatedMin")
        if updated and datetime.fromisoformat(event.fields["updated"]) < updated:
            return False
        if event.recurring:
            return True
        start, end = (instant_of(event.fields[e], self.calendar.zone) for e in ("start", "end"))
        return (low is None or end > low) and (high is None or start < high)

    def _matches_filters(self, fields: Fields) -> bool:
        extended = fields.get("extendedProperties", {})
        if "iCalUID" in self.query and fields["iCalUID"] != self.query["iCalUID"]:
            return False
        if fields["eventType"] not in self.query.getall("eventTypes", [fields["eventType"]]):
            return False
        text = " ".join(str(fields.get(k, "")) for k in ("summary", "description", "location"))
        return (
            self.query.get("q", "").casefold() in text.casefold()
            and self._has_property(extended.get("private", {}), "privateExtendedProperty")
            and self._has_property(extended.get("shared", {}), "sharedExtendedProperty")
        )

    def _has_property(self, properties: Fields, parameter: str) -> bool:
        wanted = (text.partition("=") for text in self.query.getall(parameter, []))
        return all(properties.get(name) == value for name, _, value in wanted)


def zone_of(calendar: GoogleCalendar, query: Query) -> ZoneInfo:
    """The zone of the times in the response."""
    return zone_named(query["timeZone"]) if "timeZone" in query else calendar.zone


def _sort_key(row: tuple[Key, Fields]) -> Key:
    return row[0]


def _encode_token(token: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(token).encode()).decode()


def _decode_token(text: str, name: str) -> dict[str, Any]:
    try:
        token = json.loads(base64.urlsafe_b64decode(text))
    except ValueError as error:
        raise errors.bad_parameter(name, "Invalid token value.", reason="invalid") from error
    if not isinstance(token, dict):
        raise errors.bad_parameter(name, "Invalid token value.", reason="invalid")
    return token
