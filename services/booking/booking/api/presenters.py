"""The objects of the API (appointments, holds, calendars) and the responses with appointments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.calendars import Calendar, meeting_ids
from booking.domain.series import OccurrenceOutcome
from hoop_events.base import iso
from hoop_events.booking import Appointment, Hold
from hoop_events.meeting_locations import MEMBER_TYPE_OF_KIND
from hoop_platform.consistency_token import HEADER, encode
from hoop_platform.http.route import Reply


def present_appointment(state: Appointment) -> dict[str, Any]:
    """The appointment object of the API; times with the offset of its location."""
    return {
        "id": public_id(state),
        "calendarId": state.calendar_id,
        "locationId": state.location_id,
        "contactId": state.contact_id,
        "groupId": state.group_id or "",
        "startTime": local_time(state.start_time, state.time_zone),
        "endTime": local_time(state.end_time, state.time_zone),
        "title": state.personal.title,
        "description": state.personal.description,
        "address": state.personal.address,
        "notes": state.personal.notes,
        "meetingLocationType": state.meeting_location_type,
        "meetingLocationId": state.meeting_location_id,
        "meeting": state.meeting.model_dump(mode="json", by_alias=True),
        "appointmentStatus": state.appointment_status,
        "appoinmentStatus": state.appointment_status,
        "assignedUserId": state.assigned_user_id,
        "users": list(state.hosts[1:]),
        "needsHost": state.needs_host,
        "assignedResources": list(state.resources),
        **_recurring(state),
        "createdBy": {"source": "public_api"},
        "dateAdded": iso(state.date_added),
        "dateUpdated": iso(state.date_updated),
        "version": state.version,
    }


def _recurring(state: Appointment) -> dict[str, Any]:
    series = state.series
    if series is None:
        return {"isRecurring": False}
    return {"isRecurring": True, "rrule": series.rrule, "masterEventId": series.master}


def public_id(state: Appointment) -> str:
    """Its id in the API; an occurrence's id contains its series and its time."""
    return state.series.occurrence_id if state.series else state.id


def present_outcome(one: OccurrenceOutcome, zone: str) -> dict[str, Any]:
    """The outcome of one occurrence of a new series."""
    outcome = {"startTime": local_time(one.start, zone), "outcome": one.outcome}
    if one.state is not None:
        outcome["id"] = public_id(one.state)
    return {**outcome, "reason": one.reason} if one.reason else outcome


def highest_versions(states: Iterable[Appointment]) -> dict[str, int]:
    """The highest version of each key: the token of all these changes together."""
    highest: dict[str, int] = {}
    for state in states:
        for key, version in state.versions.items():
            highest[key] = max(version, highest.get(key, 0))
    return highest


def new_series_reply(outcomes: Sequence[OccurrenceOutcome]) -> Reply:
    """The first occurrence that takes time, and the outcome of each."""
    states = [one.state for one in outcomes if one.state is not None]
    first = next(one.state for one in outcomes if one.state is not None and one.state.occupies)
    occurrences = [present_outcome(one, first.time_zone) for one in outcomes]
    reply = etag_reply({**present_appointment(first), "occurrences": occurrences})
    return replace(reply, headers={**reply.headers, **token_header(highest_versions(states))})


def changed_series_reply(states: Sequence[Appointment]) -> Reply:
    reply = etag_reply(
        {**present_appointment(states[0]), "occurrenceIds": [public_id(one) for one in states]}
    )
    return replace(reply, headers={**reply.headers, **token_header(highest_versions(states))})


def appointment_reply(state: Appointment) -> Reply:
    """The response to a change, with the consistency token."""
    reply = etag_reply(present_appointment(state))
    return replace(reply, headers={**reply.headers, **token_header(state.versions)})


def etag_reply(body: dict[str, Any], version: int | None = None) -> Reply:
    """The response with the version as its `ETag`."""
    return Reply(body, headers={"ETag": f'"{version or body["version"]}"'})


def present_hold(hold: Hold) -> dict[str, Any]:
    """The hold object of the API."""
    return {
        "id": hold.id,
        "calendarId": hold.calendar_id,
        "locationId": hold.location_id,
        "startTime": local_time(hold.start_time, hold.time_zone),
        "endTime": local_time(hold.end_time, hold.time_zone),
        "assignedUserId": None if hold.hosts == (hold.calendar_id,) else hold.hosts[0],
        "expiresAt": iso(hold.expires_at),
    }


def token_header(versions: Mapping[str, int]) -> dict[str, str]:
    """The header with the consistency token of a change; no header when no version was raised."""
    return {HEADER: encode(versions)} if versions else {}


def local_time(moment: datetime, zone: str) -> str:
    """The instant as responses spell it: ISO 8601 with the zone's offset."""
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")


def present_calendar(calendar: Calendar) -> dict[str, Any]:
    """The calendar object of the API."""
    settings = calendar.settings
    locations = settings.get("locationConfigurations") or ()
    return {
        **settings,
        "teamMembers": [_member(member) for member in settings.get("teamMembers") or ()],
        "locationConfigurations": _locations(locations),
        "meetingLocation": _first_location(locations),
        "availabilities": [_date(one) for one in settings.get("availabilities") or ()],
        "needsHost": bool(settings.get("needsHost")),
        "id": calendar.id,
        "locationId": calendar.location_id,
        "version": calendar.version,
    }


def _member(member: Mapping[str, Any]) -> dict[str, Any]:
    locations = member.get("locationConfigurations") or ()
    kind = MEMBER_TYPE_OF_KIND[locations[0]["kind"]] if locations else "custom"
    return {
        **member,
        "locationConfigurations": _locations(locations),
        "meetingLocationType": kind,
        "meetingLocation": _first_location(locations),
    }


def _locations(locations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    ids = meeting_ids(locations)
    return [{**location, "meetingId": name} for location, name in zip(locations, ids, strict=True)]


def _first_location(locations: Sequence[Mapping[str, Any]]) -> str:
    return (locations[0].get("location") if locations else None) or ""


def _date(one: Mapping[str, Any]) -> dict[str, Any]:
    """A local date, spelled as midnight UTC of that date."""
    return {**one, "date": f"{one['date'][:10]}T00:00:00.000Z"}
