"""A valid body, and a valid query, of each operation: about things of one account."""

from collections.abc import Callable
from typing import Any

from hoop_platform.ids import new_id

Ids = dict[str, str]
"""What an account's things are called, by their kind."""
SPAN = {"startTime": "1835913600000", "endTime": "1836000000000"}


def calendar(ids: Ids) -> dict[str, Any]:
    return {
        "locationId": ids["location"],
        "name": "Tenancy",
        "calendarType": "personal",
        "openHours": [
            {
                "daysOfTheWeek": [0, 1, 2, 3, 4, 5, 6],
                "hours": [{"openHour": 0, "openMinute": 0, "closeHour": 24, "closeMinute": 0}],
            }
        ],
        "teamMembers": [{"userId": ids["user"]}],
        "availabilities": [
            {
                "date": "2028-04-03",
                "hours": [{"openHour": 9, "openMinute": 0, "closeHour": 12, "closeMinute": 0}],
            }
        ],
    }


def _schedule(ids: Ids) -> dict[str, Any]:
    """All day, every day: it takes nothing from the calendar that it is applied to."""
    days = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
    whole = [{"from": "00:00", "to": "24:00"}]
    return {
        "name": "Always",
        "locationId": ids["location"],
        "userId": ids["user"],
        "timezone": "UTC",
        "rules": [{"type": "wday", "day": day, "intervals": whole} for day in days],
        "calendarIds": [ids["calendar"]],
    }


def setting(ids: Ids) -> dict[str, Any]:
    return {
        "receiverType": "contact",
        "channel": "email",
        "notificationType": "followup",
        "selectedUsers": [ids["user"]],
    }


def _group(ids: Ids) -> dict[str, Any]:
    return {"locationId": ids["location"], "name": "G", "description": "", "slug": new_id()}


# Valid but for the id under test, so that only the id can be the reason of a refusal.
BODIES: dict[str, Callable[[Ids], Any]] = {
    "POST /locations/": lambda _: {"name": "Elsewhere", "timeZone": "Europe/Paris"},
    "PUT /locations/{locationId}": lambda _: {"name": "Taken over"},
    "POST /users/": lambda ids: {
        "name": "Uma",
        "email": "uma@example.com",
        "locationIds": [ids["location"]],
    },
    "PUT /users/{userId}": lambda ids: {"name": "Taken over", "locationIds": [ids["location"]]},
    "POST /users/{userId}/reassign": lambda ids: {"appointmentIds": [ids["appointment"]]},
    "POST /contacts/": lambda ids: {"name": "Carl", "locationId": ids["location"]},
    "POST /contacts/upsert": lambda ids: {
        "firstName": "Dora",
        "email": "dora@example.com",
        "locationId": ids["location"],
    },
    "PUT /contacts/{contactId}": lambda _: {"name": "Taken over"},
    "POST /api-keys": lambda ids: {
        "name": "key",
        "scopes": ["calendars.readonly"],
        "locationIds": [ids["location"]],
    },
    "POST /calendars/": calendar,
    "PUT /calendars/{calendarId}": lambda ids: {
        "name": "Taken over",
        "teamMembers": [{"userId": ids["user"]}],
    },
    "POST /calendars/events/appointments": lambda ids: {
        "calendarId": ids["calendar"],
        "locationId": ids["location"],
        "contactId": ids["contact"],
        "assignedUserId": ids["user"],
        "startTime": "2028-03-06T15:00:00Z",
        "title": "Taken over",
    },
    "PUT /calendars/events/appointments/{eventId}": lambda ids: {
        "title": "Taken over",
        "calendarId": ids["calendar"],
        "assignedUserId": ids["user"],
    },
    "POST /calendars/{calendarId}/holds": lambda ids: {
        "startTime": "2028-03-09T15:00:00Z",
        "assignedUserId": ids["user"],
    },
    "POST /calendars/groups": _group,
    "POST /calendars/groups/validate-slug": lambda ids: {
        "locationId": ids["location"],
        "slug": "taken-over",
    },
    "PUT /calendars/groups/{groupId}": lambda _: {"name": "Taken over"},
    "PUT /calendars/groups/{groupId}/status": lambda _: {"isActive": True},
    "POST /calendars/resources/{resourceType}": lambda ids: {
        "locationId": ids["location"],
        "name": "Room",
        "calendarIds": [ids["calendar"]],
    },
    "PUT /calendars/resources/{resourceType}/{id}": lambda _: {"name": "Taken over"},
    "POST /calendars/schedules": _schedule,
    "PUT /calendars/schedules/{id}": lambda _: {"name": "Taken over"},
    "POST /calendars/events/block-slots": lambda ids: {
        "locationId": ids["location"],
        "calendarId": ids["calendar"],
        "startTime": "2028-03-10T15:00:00Z",
        "endTime": "2028-03-10T16:00:00Z",
    },
    "PUT /calendars/events/block-slots/{eventId}": lambda _: {"title": "Taken over"},
    "POST /calendars/appointments/{appointmentId}/notes": lambda ids: {
        "body": "Taken over",
        "userId": ids["user"],
    },
    "PUT /calendars/appointments/{appointmentId}/notes/{noteId}": lambda _: {"body": "Taken over"},
    "POST /calendars/{calendarId}/notifications": lambda ids: [setting(ids)],
    "PUT /calendars/{calendarId}/notifications/{notificationId}": lambda _: {"subject": "Hi"},
    "POST /integrations/zoom/connect": lambda ids: {"userId": ids["user"]},
    "PUT /integrations/zoom/{connectionId}": lambda _: {"waitingForAdmin": True},
    "POST /integrations/google/connect": lambda ids: {
        "calendarId": ids["calendar"],
        "userId": ids["user"],
    },
    "PUT /integrations/google/{connectionId}": lambda ids: {"userId": ids["user"]},
}
QUERIES: dict[str, Callable[[Ids], dict[str, str]]] = {
    "GET /calendars/": lambda ids: {"locationId": ids["location"]},
    "GET /calendars/groups": lambda ids: {"locationId": ids["location"]},
    "GET /calendars/resources/{resourceType}": lambda ids: {
        "locationId": ids["location"],
        "limit": "20",
        "skip": "0",
    },
    "GET /calendars/schedules/search": lambda ids: {
        "locationId": ids["location"],
        "userId": ids["user"],
    },
    "GET /calendars/events": lambda ids: {
        "locationId": ids["location"],
        "calendarId": ids["calendar"],
        **SPAN,
    },
    "GET /calendars/blocked-slots": lambda ids: {
        "locationId": ids["location"],
        "calendarId": ids["calendar"],
        **SPAN,
    },
    "GET /calendars/{calendarId}/sessions": lambda _: SPAN,
    "GET /calendars/appointments/{appointmentId}/notes": lambda _: {"limit": "20", "offset": "0"},
    "GET /calendars/{calendarId}/free-slots": lambda _: {
        "startDate": "1835913600000",
        "endDate": "1836000000000",
    },
}
