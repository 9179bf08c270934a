"""How calendars look from outside."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ConfigDict

from booking.api.calendar_bodies import CalendarSettings, CalendarType
from booking.api.calendar_parts import Hours
from booking.domain.calendars import Calendar, meeting_ids
from hoop_platform.http.route import ResponseModel

LOCATION_TYPES: Mapping[str, str] = {
    "zoom_conference": "zoom",
    "google_conference": "gmeet",
    "ms_teams_conference": "teams",
    "inbound_call": "phone",
    "outbound_call": "phone",
    "physical": "address",
    "custom": "custom",
    "booker": "booker",
}
"""A location's kind → the deprecated `meetingLocationType` of a member."""


class AvailabilityShown(ResponseModel):
    """A date as it is answered: midnight UTC of what is meant as the local date."""

    id: str
    date: datetime
    hours: list[Hours]
    deleted: bool


class CalendarShown(CalendarSettings):
    model_config = ConfigDict(extra="allow")

    id: str
    location_id: str
    name: str
    calendar_type: CalendarType
    availabilities: list[AvailabilityShown]
    version: int


class OneCalendar(ResponseModel):
    calendar: CalendarShown


class Calendars(ResponseModel):
    calendars: list[CalendarShown]


def shown_calendar(calendar: Calendar) -> dict[str, Any]:
    """The calendar object of the API."""
    settings = calendar.settings
    places = settings.get("locationConfigurations") or ()
    return {
        **settings,
        "teamMembers": [_member(member) for member in settings.get("teamMembers") or ()],
        "locationConfigurations": _places(places),
        "meetingLocation": _location(places),
        "availabilities": [_date(one) for one in settings.get("availabilities") or ()],
        "id": calendar.id,
        "locationId": calendar.location_id,
        "version": calendar.version,
    }


def _member(member: Mapping[str, Any]) -> dict[str, Any]:
    places = member.get("locationConfigurations") or ()
    kind = LOCATION_TYPES[places[0]["kind"]] if places else "custom"
    return {
        **member,
        "locationConfigurations": _places(places),
        "meetingLocationType": kind,
        "meetingLocation": _location(places),
    }


def _places(places: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    ids = meeting_ids(places)
    return [{**place, "meetingId": name} for place, name in zip(places, ids, strict=True)]


def _location(places: Sequence[Mapping[str, Any]]) -> str:
    return (places[0].get("location") if places else None) or ""


def _date(one: Mapping[str, Any]) -> dict[str, Any]:
    """A date is spelled like an instant, and means the local date."""
    return {**one, "date": f"{one['date'][:10]}T00:00:00.000Z"}
