"""`freeBusy`: the merged busy intervals of calendars, without their events."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from simulators.google import errors
from simulators.google.calendars import CalendarEvent, GoogleCalendar
from simulators.google.event_fields import Fields, in_zone, instant_of, zone_named
from simulators.google.recurrence import instances
from simulators.google.request_checks import ApiCall

MAX_CALENDARS = 50
Span = tuple[datetime, datetime]


def free_busy(call: ApiCall, *, longest: timedelta) -> Fields:
    """The body of the response; a calendar that the caller cannot see is an error inside it."""
    span = _requested_span(call.body, longest)
    names = [str(item.get("id", "")) for item in call.body.get("items", [])]
    if len(names) > MAX_CALENDARS:
        text = "Too many calendars requested."
        raise errors.refusal(400, "calendar", "tooManyCalendarsRequested", text)
    zone, utc = zone_named(call.body.get("timeZone", "UTC")), zone_named("UTC")
    calendars: Fields = {}
    for name in names:
        calendar = call.calendars.find(name, call.user)
        if calendar is None:
            missing = {"domain": "global", "reason": "notFound"}
            calendars[name] = {"errors": [missing], "busy": []}
            continue
        spans = _merged(_blocking(calendar, call.user, span))
        shown = [{"start": in_zone(a, zone), "end": in_zone(b, zone)} for a, b in spans]
        calendars[name] = {"busy": shown}
    edges = {"timeMin": in_zone(span[0], utc), "timeMax": in_zone(span[1], utc)}
    return {"kind": "calendar#freeBusy", **edges, "calendars": calendars}


def _requested_span(body: Fields, longest: timedelta) -> Span:
    for name in ("timeMin", "timeMax"):
        if name not in body:
            raise errors.invalid(f"Missing {name} parameter.", reason="required")
    low, high = (datetime.fromisoformat(body[name]) for name in ("timeMin", "timeMax"))
    if low.tzinfo is None or high.tzinfo is None:
        raise errors.invalid("Bad Request", reason="badRequest")
    if low >= high:
        text = "The specified time range is empty."
        raise errors.refusal(400, "calendar", "timeRangeEmpty", text)
    if high - low > longest:
        text = "The requested time range is too long."
        raise errors.refusal(400, "calendar", "timeRangeTooLong", text)
    return low, high


def _merged(spans: Iterator[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _blocking(calendar: GoogleCalendar, user: str, span: Span) -> Iterator[Span]:
    """The intervals of events that make their owner busy, cut to the span."""
    low, high = span
    for event in calendar.live():
        every = instances(event, calendar, until=high) if event.recurring else [event]
        for one in every:
            start, end = (instant_of(one.fields[edge], calendar.zone) for edge in ("start", "end"))
            if start < high and end > low and _blocks(one, user):
                yield max(start, low), min(end, high)


def _blocks(event: CalendarEvent, user: str) -> bool:
    declined = any(
        guest["email"] == user and guest["responseStatus"] == "declined"
        for guest in event.fields.get("attendees", [])
    )
    return event.fields.get("transparency") != "transparent" and not declined
