"""What is a user's: the calendars whose team they are in, and their schedules."""

from typing import Any

from booking.api.calendar_answers import Calendars, shown_calendar
from booking.api.people import known_user
from booking.api.schedules import Schedules
from booking.api.schedules import shown as shown_schedule
from booking.store.calendars import calendars_of_user
from booking.store.documents import schedules
from hoop_platform.errors import NotFound
from hoop_platform.http.route import Call, Route


async def user_calendars(call: Call) -> dict[str, Any]:
    """Who is assigned to a calendar stands in its `teamMembers`."""
    user = await known_user(call, call.id("userId"))
    found = await calendars_of_user(call.runtime.db, call.account_id, user)
    return {
        "calendars": [shown_calendar(one) for one in found if call.caller.reaches(one.location_id)]
    }


async def user_schedules(call: Call) -> dict[str, Any]:
    """All schedules with this `userId`."""
    user = await known_user(call, call.id("userId"))
    found = await schedules.find(call.runtime.db, call.account_id, {"userId": user})
    return {
        "schedules": [shown_schedule(one) for one in found if call.caller.reaches(one.location_id)]
    }


ROUTES = (
    Route(
        "GET",
        "/users/{userId}/calendars",
        user_calendars,
        "calendars.readonly",
        reply=Calendars,
        summary="Calendars of a user",
        refusals=(NotFound,),
    ),
    Route(
        "GET",
        "/users/{userId}/schedules",
        user_schedules,
        "calendars.readonly",
        reply=Schedules,
        summary="Schedules of a user",
        refusals=(NotFound,),
    ),
)
