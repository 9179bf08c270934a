"""The fields of an event: which ones Google accepts, and how Google returns them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from simulators.google import errors
from simulators.json_schema import zone_names

ENUMS = {
    "status": ("confirmed", "tentative", "cancelled"),
    "transparency": ("opaque", "transparent"),
    "visibility": ("default", "public", "private", "confidential"),
    "eventType": (
        "default",
        "outOfOffice",
        "focusTime",
        "workingLocation",
        "birthday",
        "fromGmail",
    ),
}
RESPONSES = ("needsAction", "declined", "tentative", "accepted")
DEFAULTS = {"transparency": "opaque", "visibility": "default"}  # left out in responses
MAX_KEY, MAX_VALUE, MAX_PROPERTIES, MAX_OVERRIDES = 44, 1024, 300, 5

Fields = dict[str, Any]


def apply_patch(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Fields:
    """Apply a patch: objects are merged, arrays are replaced, null removes a field."""
    result = dict(base)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = apply_patch(result.get(name) or {}, value)
        else:
            result[name] = value
    return result


def validate_fields(fields: Fields, zone: ZoneInfo) -> Fields:
    """The fields as Google stores them. Raises Google's error if it refuses them."""
    for name, allowed in ENUMS.items():
        if fields.get(name, allowed[0]) not in allowed:
            raise errors.invalid(f"Invalid value for: {name}")
    for attendee in fields.get("attendees", []):
        if "email" not in attendee:
            raise errors.invalid("Missing attendee email.", reason="required")
        if attendee.setdefault("responseStatus", "needsAction") not in RESPONSES:
            raise errors.invalid("Invalid attendee response status.")
    _check_times(fields, zone)
    _check_recurrence(fields)
    _check_reminders(fields.get("reminders", {}))
    if "extendedProperties" in fields:
        fields["extendedProperties"] = _properties(fields["extendedProperties"])
    return {k: v for k, v in fields.items() if DEFAULTS.get(k) != v}


def instant_of(edge: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    """The instant of a `start` or `end`; a date is midnight in the calendar's zone."""
    if "date" in edge:
        return datetime.combine(date.fromisoformat(edge["date"]), time(), zone)
    at = datetime.fromisoformat(edge["dateTime"])
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(edge["timeZone"]))


def event_body(fields: Mapping[str, Any], zone: ZoneInfo, calendar_zone: ZoneInfo) -> Fields:
    """The event as a response contains it, with times in `zone`."""
    edges = {
        name: _edge_shown(fields[name], zone, calendar_zone)
        for name in ("start", "end", "originalStartTime")
        if name in fields
    }
    return {"kind": "calendar#event", **fields, **edges}


def tombstone(fields: Mapping[str, Any]) -> Fields:
    """The fields that a list contains of a deleted event."""
    kept = ("etag", "id", "status", "recurringEventId", "originalStartTime")
    return {"kind": "calendar#event", **{k: fields[k] for k in kept if k in fields}}


def in_zone(at: datetime, zone: ZoneInfo) -> str:
    text = at.astimezone(zone).isoformat(timespec="seconds")
    return text.replace("+00:00", "Z") if zone.key in ("UTC", "Etc/UTC") else text


def zone_named(name: str, *, parameter: str = "timeZone") -> ZoneInfo:
    if name not in zone_names():
        raise errors.bad_parameter(parameter, f"Invalid time zone: {name}", reason="invalid")
    return ZoneInfo(name)


def _edge_shown(edge: Mapping[str, Any], zone: ZoneInfo, calendar_zone: ZoneInfo) -> Fields:
    if "date" in edge:
        return {"date": edge["date"]}
    named = edge.get("timeZone", calendar_zone.key)
    return {"dateTime": in_zone(instant_of(edge, calendar_zone), zone), "timeZone": named}


def _check_times(fields: Fields, zone: ZoneInfo) -> None:
    for name in ("start", "end"):
        _check_edge(name, fields.get(name))
    if ("date" in fields["start"]) != ("date" in fields["end"]):
        text = "The start and end times must either both be date or both be dateTime."
        raise errors.invalid(text)
    if instant_of(fields["start"], zone) > instant_of(fields["end"], zone) or _empty_days(fields):
        text = "The specified time range is empty."
        raise errors.refusal(400, "calendar", "timeRangeEmpty", text)


def _check_edge(name: str, edge: Fields | None) -> None:
    if not edge or not ({"date", "dateTime"} & edge.keys()):
        raise errors.invalid(f"Missing {name} time.", reason="required")
    if "date" in edge and "dateTime" in edge:
        raise errors.invalid(f"Invalid {name} time.")
    if "timeZone" in edge and edge["timeZone"] not in zone_names():
        raise errors.invalid(f"Invalid time zone definition for {name} time.")
    if "date" not in edge and "timeZone" not in edge and _is_naive(edge["dateTime"]):
        text = f"Missing time zone definition for {name} time."
        raise errors.invalid(text, reason="required")


def _is_naive(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo is None


def _empty_days(fields: Fields) -> bool:
    """The end of an all-day event is exclusive, so equal dates are an empty range."""
    return "date" in fields["start"] and fields["start"]["date"] >= fields["end"]["date"]


def _check_recurrence(fields: Fields) -> None:
    lines = fields.get("recurrence", [])
    if not all(line.startswith(("RRULE", "EXRULE", "RDATE", "EXDATE")) for line in lines):
        raise errors.invalid("Invalid recurrence rule.")
    if lines and "dateTime" in fields["start"] and "timeZone" not in fields["start"]:
        text = "Missing time zone definition for start time."
        raise errors.invalid(text, reason="required")


def _check_reminders(reminders: Fields) -> None:
    overrides = reminders.get("overrides", [])
    if overrides and reminders.get("useDefault"):
        text = "Cannot specify both default reminders and overrides at the same time."
        raise errors.refusal(400, "calendar", "cannotUseDefaultRemindersAndSpecifyOverride", text)
    if len(overrides) > MAX_OVERRIDES:
        raise errors.refusal(400, "calendar", "tooManyReminders", "Too many reminders.")
    for override in overrides:
        if override.get("method") not in ("email", "popup"):
            raise errors.invalid("Invalid reminder method.")


def _properties(extended: Fields) -> Fields:
    """Properties with long names are dropped, long values are cut, without an error: as Google does."""
    kept: Fields = {}
    for kind, pairs in extended.items():
        if len(pairs) > MAX_PROPERTIES:
            raise errors.invalid("Too many extended properties.")
        kept[kind] = {k: v[:MAX_VALUE] for k, v in pairs.items() if len(k) <= MAX_KEY}
    return kept


def same_instant(one: Mapping[str, Any], other: Mapping[str, Any], zone: ZoneInfo) -> bool:
    return instant_of(one, zone).astimezone(UTC) == instant_of(other, zone).astimezone(UTC)
