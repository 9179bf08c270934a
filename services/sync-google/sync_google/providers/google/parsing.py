"""Parses Google's responses: our own events, and the events of a list, which anybody may have written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, ValidationError

from hoop_platform.providers.errors import OutcomeUnknown
from sync_google.domain.busy import Interval, ListedEvent, whole_days
from sync_google.domain.plan import EventDraft

Model = TypeVar("Model", bound=BaseModel)

APPOINTMENT_MARK, GENERATION_MARK, CONNECTION_MARK = (
    "hoopAppointment",
    "hoopGeneration",
    "hoopConnection",
)
"""Private extended properties of our events, visible to our app only: which appointment it is."""

MALFORMED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    OSError,
    ZoneInfoNotFoundError,
)


class CalendarEntry(BaseModel):
    id: str = Field(min_length=1, max_length=1000)


class EventList(BaseModel):
    items: list[dict[str, Any]] = []
    timeZone: str = "UTC"  # noqa: N815 -- Google's own spelling
    nextPageToken: str | None = None  # noqa: N815 -- as above
    nextSyncToken: str | None = None  # noqa: N815 -- as above


@dataclass(frozen=True)
class GoogleEvent:
    """One event of ours as Google returned it."""

    etag: str
    cancelled: bool
    marks: Mapping[str, Any]
    fields: Mapping[str, Any]

    def matches(self, draft: EventDraft) -> bool:
        """Whether the event has exactly the fields of the draft."""
        return fields_match(self.fields, draft)


def parse_model(model: type[Model], response: object) -> Model:
    """The response as a `model`. Raises `OutcomeUnknown` when it has another shape."""
    try:
        return model.model_validate(response)
    except ValidationError:
        raise OutcomeUnknown("google sent a response of another shape") from None


def parse_json(body: bytes) -> Any:
    """The JSON value in a body; None when the body is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def parse_event(response: object, event_id: str) -> GoogleEvent:
    """The requested event. Raises `OutcomeUnknown` for another event, or one without an etag."""
    if not isinstance(response, dict) or response.get("id") != event_id:
        raise OutcomeUnknown("google sent something else than the event")
    if not isinstance(response.get("etag"), str):
        raise OutcomeUnknown("google sent an event without an etag")
    cancelled = response.get("status") == "cancelled"
    return GoogleEvent(response["etag"], cancelled, _marks(response), response)


def fields_match(fields: Mapping[str, Any], draft: EventDraft) -> bool:
    """Whether Google's fields of an event equal the draft; fields that we do not write are ignored."""
    texts = ("summary", "description", "location")
    try:
        times = (
            _instant(fields["start"], ZoneInfo("UTC")),
            _instant(fields["end"], ZoneInfo("UTC")),
        )
    except MALFORMED:
        return False
    return (
        times == (draft.start, draft.end)
        and all((fields.get(name) or "") == getattr(draft, name) for name in texts)
        and fields.get("transparency", "opaque") == "opaque"
        and not fields.get("recurrence")
    )


def parse_listed_event(fields: Mapping[str, Any], zone: ZoneInfo) -> ListedEvent | None:
    """An event of a list, or None when it is malformed. `zone` is that of the Google calendar."""
    try:
        cancelled = (
            fields.get("status") == "cancelled"
        )  # such an event need not have more than an id
        return ListedEvent(
            id=_storable_text(fields["id"]),
            etag=fields.get("etag"),
            cancelled=cancelled,
            blocks=not cancelled and _blocks(fields),
            during=None if cancelled else _during(fields, zone),
            series=fields.get("recurringEventId"),
            marked_by=None if cancelled else _marked_by(fields),
            fields=fields,
        )
    except MALFORMED:
        return None


def _storable_text(value: object) -> str:
    """The value, if it is a text that Postgres can store."""
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError
    value.encode()
    return value


def _marks(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = fields.get("extendedProperties")
    private = properties.get("private") if isinstance(properties, dict) else None
    return private if isinstance(private, dict) else {}


def _marked_by(fields: Mapping[str, Any]) -> str | None:
    """The connection that created the event. A copy made by a person has the marks, but another id."""
    marks = _marks(fields)
    appointment_id, connection_id = marks.get(APPOINTMENT_MARK), marks.get(CONNECTION_MARK)
    ours = isinstance(appointment_id, str) and str(fields["id"]).startswith(appointment_id)
    return connection_id if ours and appointment_id and isinstance(connection_id, str) else None


def _blocks(fields: Mapping[str, Any]) -> bool:
    """Whether the event makes its owner busy; not if shown as free, declined or a working location."""
    if fields.get("transparency") == "transparent" or fields.get("eventType") == "workingLocation":
        return False
    guests = fields.get("attendees") or []
    return not any(g.get("self") and g.get("responseStatus") == "declined" for g in guests)


def _during(fields: Mapping[str, Any], zone: ZoneInfo) -> Interval:
    start, end = fields["start"], fields["end"]
    if "date" in start:
        return whole_days(date.fromisoformat(start["date"]), date.fromisoformat(end["date"]), zone)
    return _instant(start, zone), _instant(end, zone)


def _instant(edge: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    moment = datetime.fromisoformat(edge["dateTime"])
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(edge["timeZone"]) if "timeZone" in edge else zone)
    return moment.astimezone(UTC)
