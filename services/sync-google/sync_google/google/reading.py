"""Reads what Google sends: events of ours, and items of a list, which anybody may have written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, ValidationError

from sync_google.domain import Draft, Interval, Item, NoAnswer, whole_days

T = TypeVar("T", bound=BaseModel)

APPOINTMENT, GENERATION, CONNECTION = "hoopAppointment", "hoopGeneration", "hoopConnection"
"""Our marks, in the event's private extended properties: only our app sees them."""

UNREADABLE = (
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
class Event:
    """One event of ours as Google has it."""

    etag: str
    cancelled: bool
    marks: Mapping[str, Any]
    fields: Mapping[str, Any]

    def says(self, draft: Draft) -> bool:
        """Whether it shows just this."""
        return says(self.fields, draft)


def parsed(model: type[T], said: object) -> T:
    """The answer as `model`, or `NoAnswer`."""
    try:
        return model.model_validate(said)
    except ValidationError:
        raise NoAnswer("google sent an answer of another shape") from None


def data_of(said: bytes) -> Any:
    """The answer's JSON; None when it is something else."""
    try:
        return json.loads(said)
    except (ValueError, RecursionError):
        return None


def event(said: Any, event_id: str) -> Event:
    """The event that was asked for. Without an etag it could not be written safely: no answer."""
    if not isinstance(said, dict) or said.get("id") != event_id:
        raise NoAnswer("google sent something else than the event")
    if not isinstance(said.get("etag"), str):
        raise NoAnswer("google sent an event without an etag")
    return Event(said["etag"], said.get("status") == "cancelled", _marks(said), said)


def says(fields: Mapping[str, Any], draft: Draft) -> bool:
    """Whether an event as Google shows it is what the draft wants; what we do not write is free."""
    texts = ("summary", "description", "location")
    try:
        times = (_moment(fields["start"], ZoneInfo("UTC")), _moment(fields["end"], ZoneInfo("UTC")))
    except UNREADABLE:
        return False
    return (
        times == (draft.start, draft.end)
        and all((fields.get(name) or "") == getattr(draft, name) for name in texts)
        and fields.get("transparency", "opaque") == "opaque"
        and not fields.get("recurrence")
    )


def item(said: Mapping[str, Any], zone: ZoneInfo) -> Item | None:
    """An event of a list, or None when it cannot be read."""
    try:
        cancelled = said.get("status") == "cancelled"  # then nothing but its id is to be relied on
        return Item(
            id=_text(said["id"]),
            etag=said.get("etag"),
            cancelled=cancelled,
            blocks=not cancelled and _blocks(said),
            during=None if cancelled else _during(said, zone),
            series=said.get("recurringEventId"),
            marked_by=None if cancelled else _maker(said),
            fields=said,
        )
    except UNREADABLE:
        return None


def _text(value: object) -> str:
    """Text that Postgres can store."""
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError
    value.encode()
    return value


def _marks(said: Mapping[str, Any]) -> Mapping[str, Any]:
    found = said.get("extendedProperties")
    private = found.get("private") if isinstance(found, dict) else None
    return private if isinstance(private, dict) else {}


def _maker(said: Mapping[str, Any]) -> str | None:
    """The connection that made it. A copy that a person makes of it has the marks, not the id."""
    marks = _marks(said)
    appointment_id, maker = marks.get(APPOINTMENT), marks.get(CONNECTION)
    ours = isinstance(appointment_id, str) and str(said["id"]).startswith(appointment_id)
    return maker if ours and appointment_id and isinstance(maker, str) else None


def _blocks(said: Mapping[str, Any]) -> bool:
    """Tentative events, absences and focus time block; free ones, declined ones, places do not."""
    if said.get("transparency") == "transparent" or said.get("eventType") == "workingLocation":
        return False
    guests = said.get("attendees") or []
    return not any(g.get("self") and g.get("responseStatus") == "declined" for g in guests)


def _during(said: Mapping[str, Any], zone: ZoneInfo) -> Interval:
    start, end = said["start"], said["end"]
    if "date" in start:
        return whole_days(date.fromisoformat(start["date"]), date.fromisoformat(end["date"]), zone)
    return _moment(start, zone), _moment(end, zone)


def _moment(edge: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(edge["dateTime"])
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(edge["timeZone"]) if "timeZone" in edge else zone)
    return at.astimezone(UTC)
