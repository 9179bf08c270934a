"""How appointments and holds look from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.series import Outcome
from hoop_events.base import iso
from hoop_events.booking import Appointment, Hold
from hoop_platform.consistency_token import HEADER, encode


def shown_appointment(state: Appointment) -> dict[str, Any]:
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
    """Its id in the API; that of an occurrence tells its series and its time."""
    return state.series.occurrence_id if state.series else state.id


def shown_outcome(one: Outcome, zone: str) -> dict[str, Any]:
    """A line of the report on a new series."""
    said = {"startTime": local_time(one.start, zone), "outcome": one.outcome}
    if one.state is not None:
        said["id"] = public_id(one.state)
    return {**said, "reason": one.reason} if one.reason else said


def shown_hold(hold: Hold) -> dict[str, Any]:
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


def read_token(versions: Mapping[str, int]) -> dict[str, str]:
    """The header that asks a reader to have seen this change; none when nothing was changed."""
    return {HEADER: encode(versions)} if versions else {}


def local_time(moment: datetime, zone: str) -> str:
    """As answers spell it: ISO 8601 with the offset that the zone has then."""
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
