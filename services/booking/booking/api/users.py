"""The lists of a user's calendars and schedules."""

from typing import Any

from booking.api.presenters import present_calendar
from booking.api.schedules import ScheduleListResponse, present_schedule
from booking.api.schemas.calendars import CalendarListResponse
from booking.api.validation import known_user
from booking.store.calendars import list_calendars_of_user
from booking.store.crud import schedules
from hoop_platform.errors import NotFound
from hoop_platform.http.route import Call, Route


async def user_calendars(call: Call) -> dict[str, Any]:
    """The calendars that have the user in their `teamMembers`."""
    user = await known_user(call, call.id("userId"))
    found = await list_calendars_of_user(call.runtime.db, call.account_id, user)
    return {
        "calendars": [
            present_calendar(one) for one in found if call.caller.reaches(one.location_id)
        ]
    }


async def user_schedules(call: Call) -> dict[str, Any]:
    """The schedules with this `userId`."""
    user = await known_user(call, call.id("userId"))
    found = await schedules.list_matching(call.runtime.db, call.account_id, {"userId": user})
    return {
        "schedules": [
            present_schedule(one) for one in found if call.caller.reaches(one.location_id)
        ]
    }


ROUTES = (
    Route(
        "GET",
        "/users/{userId}/calendars",
        user_calendars,
        "calendars.readonly",
        reply=CalendarListResponse,
        summary="List user calendars",
        refusals=(NotFound,),
    ),
    Route(
        "GET",
        "/users/{userId}/schedules",
        user_schedules,
        "calendars.readonly",
        reply=ScheduleListResponse,
        summary="List user schedules",
        refusals=(NotFound,),
    ),
)
