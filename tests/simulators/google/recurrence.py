"""Series: the instances of a recurring event, with the ids that Google gives them."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr  # type: ignore[import-untyped]  # it ships no types

from simulators.google.calendars import CalendarEvent, GoogleCalendar
from simulators.google.event_fields import Fields, in_zone, instant_of

INSTANCE_ID = re.compile(r"(?P<master>[0-9a-v]+)_(?P<start>\d{8}(T\d{6}Z)?)")
HORIZON = timedelta(days=730)  # the end of a list without `timeMax`
MAX_INSTANCES = 3000


def instances(
    master: CalendarEvent, calendar: GoogleCalendar, *, until: datetime
) -> Iterator[CalendarEvent]:
    """The instances that start before `until` and were not changed by themselves, in order."""
    changed = {e.id for e in calendar.exceptions_of(master)}
    for number, fields in enumerate(_instance_fields(master, calendar.zone, until)):
        if number >= MAX_INSTANCES:
            return
        if fields["id"] not in changed:
            yield CalendarEvent(fields, master.ordinal, master.revision)


def instance(instance_id: str, calendar: GoogleCalendar) -> CalendarEvent | None:
    """The unchanged instance of this id; None if there is none."""
    found = INSTANCE_ID.fullmatch(instance_id)
    master = calendar.events.get(found["master"]) if found else None
    if found is None or master is None or not master.recurring:
        return None
    until = datetime.strptime(found["start"][:8], "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=2)
    every = instances(master, calendar, until=until)
    return next((event for event in every if event.id == instance_id), None)


def _instance_fields(master: CalendarEvent, zone: ZoneInfo, until: datetime) -> Iterator[Fields]:
    fields = {k: v for k, v in master.fields.items() if k != "recurrence"}
    length = instant_of(fields["end"], zone) - instant_of(fields["start"], zone)
    for start in _starts(master.fields, zone):
        if start.astimezone(UTC) >= until.astimezone(UTC):
            return
        yield {**fields, **_times(master, start, length)}


def _starts(fields: Fields, zone: ZoneInfo) -> Iterator[datetime]:
    """The starts, at the same wall-clock time in the series' zone across daylight saving changes."""
    own = ZoneInfo(fields["start"].get("timeZone", zone.key))
    first = instant_of(fields["start"], zone).astimezone(own)
    all_day = "date" in fields["start"]
    rule = rrulestr(
        "\n".join(fields["recurrence"]),
        dtstart=first.replace(tzinfo=None) if all_day else first,
        forceset=True,
        tzids=ZoneInfo,
    )
    for start in rule:
        yield start.replace(tzinfo=zone) if all_day else start


def _times(master: CalendarEvent, start: datetime, length: timedelta) -> Fields:
    if "date" in master.fields["start"]:
        first: date = start.date()
        days = date.fromisoformat(master.fields["end"]["date"]) - date.fromisoformat(
            master.fields["start"]["date"]
        )
        edge: dict[str, Any] = {"date": first.isoformat()}
        end: dict[str, Any] = {"date": (first + days).isoformat()}
        mark = first.strftime("%Y%m%d")
    else:
        named = {"timeZone": master.fields["start"]["timeZone"]}
        edge = {"dateTime": in_zone(start, ZoneInfo("UTC")), **named}
        finish = start.astimezone(UTC) + length
        end = {"dateTime": in_zone(finish, ZoneInfo("UTC")), **named}
        mark = start.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    return {
        "id": f"{master.id}_{mark}",
        "recurringEventId": master.id,
        "originalStartTime": edge,
        "start": edge,
        "end": end,
    }
