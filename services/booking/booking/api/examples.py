"""Example bodies of the operations, shown in the OpenAPI document."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hoop_platform.http.route import Route

LOCATION = "06gvlocation0000000000000g"
CALENDAR = "06gvcalendar0000000000000g"
ADA = "06gvuserada00000000000000g"
EVE = "06gvusereve00000000000000g"

_WEEK = [
    {
        "daysOfTheWeek": [1, 2, 3, 4, 5],
        "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 17, "closeMinute": 0}],
    }
]
_RULES = [
    {"type": "wday", "day": "monday", "intervals": [{"from": "09:00", "to": "12:00"}]},
    {"type": "date", "date": "2027-03-05", "intervals": [{"from": "14:00", "to": "18:00"}]},
]
_TIMES = {"startTime": "2027-03-01T10:00:00-05:00", "endTime": "2027-03-01T10:30:00-05:00"}
_EVENTS = "/calendars/events"
_GROUPS = "/calendars/groups"
_NOTES = "/calendars/appointments/{appointmentId}/notes"
_RESOURCES = "/calendars/resources/{resourceType}"

_BOOKING = {
    "calendarId": "06gvtdrgepradfongt4fpt6dls",
    "locationId": "06gvtdred9psbfjhmlcujqtqf8",
    "contactId": "06gvtdred9psbfjhmle6q87a6s",
    "startTime": "2027-03-01T09:00:00-05:00",
}

EXAMPLES: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("POST", "/calendars/"): {
        "One person, on Zoom": {
            "locationId": LOCATION,
            "name": "Consultation",
            "calendarType": "personal",
            "teamMembers": [
                {"userId": ADA, "locationConfigurations": [{"kind": "zoom_conference"}]}
            ],
            "openHours": _WEEK,
            "slotDuration": 30,
            "slotBuffer": 10,
        },
        "Round robin, equally many": {
            "locationId": LOCATION,
            "name": "Support",
            "calendarType": "round_robin",
            "eventType": "RoundRobin_OptimizeForEqualDistribution",
            "teamMembers": [{"userId": ADA, "priority": 1}, {"userId": EVE, "priority": 0.5}],
            "openHours": _WEEK,
            "allowBookingAfter": 2,
            "allowBookingAfterUnit": "hours",
        },
    },
    ("PUT", "/calendars/{calendarId}"): {
        "Longer slots": {"slotDuration": 45, "slotInterval": 15},
        "A draft again": {"isActive": False},
    },
    ("POST", f"{_EVENTS}/appointments"): {
        "As long as the calendar's appointments are": _BOOKING,
        "With somebody, somewhere": {
            **_BOOKING,
            "endTime": "2027-03-01T09:30:00-05:00",
            "title": "First visit",
            "assignedUserId": "06gvtdred9psbfjhmlcvcn5b6o",
            "address": "1 Main Street",
            "toNotify": False,
        },
        "A time that was held": {**_BOOKING, "holdId": "06gvtdrgp9o5j3uf61896j6sv4"},
        "A series": {**_BOOKING, "rrule": "FREQ=WEEKLY;BYDAY=MO,WE;COUNT=8"},
    },
    ("PUT", f"{_EVENTS}/appointments/{{eventId}}"): {
        "Move it": {"startTime": "2027-03-01T10:00:00-05:00"},
        "Give it to a colleague": {"assignedUserId": "06gvtdred9psbfjhmlcvcn5b6o"},
        "Cancel it": {"appointmentStatus": "cancelled"},
        "Rename it": {"title": "Second opinion"},
        "Nothing": {},
    },
    ("POST", "/users/{userId}/reassign"): {
        "To members who are free": {},
        "To one colleague, without mails": {"toUserId": EVE, "toNotify": False},
    },
    ("POST", "/calendars/{calendarId}/holds"): {
        "For ten minutes": {"startTime": "2027-03-01T09:00:00-05:00"},
        "For a minute, with somebody": {
            "startTime": "2027-03-01T09:00:00-05:00",
            "assignedUserId": "06gvtdred9psbfjhmlcvcn5b6o",
            "ttlSeconds": 60,
        },
    },
    ("POST", f"{_EVENTS}/block-slots"): {
        "A calendar": {"locationId": LOCATION, "calendarId": CALENDAR, "title": "Closed", **_TIMES},
        "A person": {"locationId": LOCATION, "assignedUserId": ADA, "title": "Away", **_TIMES},
    },
    ("PUT", f"{_EVENTS}/block-slots/{{eventId}}"): {"Renamed": {"title": "Stocktaking"}},
    ("POST", _GROUPS): {
        "A group": {
            "locationId": LOCATION,
            "name": "Lessons",
            "description": "All that is taught here",
            "slug": "lessons",
        }
    },
    ("POST", f"{_GROUPS}/validate-slug"): {
        "Is it free?": {"locationId": LOCATION, "slug": "lessons"}
    },
    ("PUT", f"{_GROUPS}/{{groupId}}"): {
        "Renamed": {"name": "Courses", "description": "All that is taught here", "slug": "courses"}
    },
    ("PUT", f"{_GROUPS}/{{groupId}}/status"): {"Off, with all its calendars": {"isActive": False}},
    ("POST", _NOTES): {"A note": {"body": "Wants the <b>blue</b> one.", "userId": ADA}},
    ("PUT", f"{_NOTES}/{{noteId}}"): {"Other words": {"body": "Wants the green one."}},
    ("POST", _RESOURCES): {
        "A room": {
            "locationId": LOCATION,
            "name": "Room 1",
            "description": "Second floor",
            "quantity": 1,
            "outOfService": 0,
            "capacity": 8,
            "calendarIds": [CALENDAR],
        }
    },
    ("PUT", f"{_RESOURCES}/{{id}}"): {"Out of service": {"quantity": 3, "outOfService": 1}},
    ("POST", "/calendars/schedules"): {
        "Mondays, and one Friday": {
            "name": "Mornings",
            "locationId": LOCATION,
            "userId": ADA,
            "timezone": "America/New_York",
            "rules": _RULES,
            "calendarIds": [CALENDAR],
        }
    },
    ("PUT", "/calendars/schedules/{id}"): {"In another zone": {"timezone": "Europe/London"}},
}


def with_examples(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes, each with its examples."""
    return tuple(
        replace(route, examples=EXAMPLES.get((route.method, route.path), {})) for route in routes
    )
