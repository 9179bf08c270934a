"""How calendars and appointments look from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from booking.domain.calendars import Calendar
from hoop_events import Appointment
from shared.readtoken import HEADER, encode


def shown_calendar(calendar: Calendar) -> dict[str, Any]:
    """The calendar object of the API."""
    return {
        **calendar.settings,
        "id": calendar.id,
        "locationId": calendar.location_id,
        "version": calendar.version,
    }


def shown_appointment(state: Appointment) -> dict[str, Any]:
    """The appointment object of the API; times with the offset of its location."""
    return {
        "id": state.id,
        "calendarId": state.calendar_id,
        "locationId": state.location_id,
        "contactId": state.contact_id,
        "groupId": "",
        "startTime": _local(state.start_time, state.time_zone),
        "endTime": _local(state.end_time, state.time_zone),
        "title": state.personal.title,
        "description": state.personal.description,
        "address": state.personal.address,
        "notes": state.personal.notes,
        "meetingLocationType": state.meeting_location_type,
        "meeting": state.meeting.model_dump(mode="json", by_alias=True),
        "appointmentStatus": state.appointment_status,
        "appoinmentStatus": state.appointment_status,
        "assignedUserId": state.assigned_user_id,
        "users": list(state.hosts[1:]),
        "isRecurring": False,
        "dateAdded": _utc(state.date_added),
        "dateUpdated": _utc(state.date_updated),
        "version": state.version,
    }


def read_token(versions: Mapping[str, int]) -> dict[str, str]:
    """The header that asks a reader to have seen this change; none when nothing was changed."""
    return {HEADER: encode(versions)} if versions else {}


def _local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
