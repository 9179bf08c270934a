"""The operations on schedules: when a user is open, on which calendars."""

from typing import Annotated, Any, Literal

from pydantic import Field

from booking.api.documents import (
    Kept,
    Success,
    begun,
    delete_once,
    found,
    known_ids,
    sent,
    written,
)
from booking.api.models import InLocation, Name, Some
from booking.api.people import check_users
from booking.api.shown import read_token
from booking.domain.documents import MOST_CALENDARS
from booking.handlers import schedules as handlers
from booking.store.calendars import calendar
from booking.store.documents import schedules
from hoop_events.calendars import Schedule
from hoop_platform.auth import location_zone
from hoop_platform.errors import LocationForbidden, NotFound
from hoop_platform.http.parse import Body
from hoop_platform.http.route import Call, Reply, ResponseModel, Route

Clock = Annotated[str, Field(pattern=r"^(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
Day = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
Zone = Annotated[str, Field(max_length=100, description="A zone of the IANA database.")]


class IntervalSaid(Body):
    """Wall-clock times, `from` before `to`; `24:00` is midnight."""

    from_: Clock = Field(alias="from")
    to: Clock


class RuleSaid(Body):
    """When the user is open on each such weekday, or on one date, which then replaces its weekday."""

    type: Literal["wday", "date"]
    day: Annotated[Day | None, Field(description="Of a rule of type `wday`.")] = None
    date: Annotated[
        str | None,
        Field(description="Of a rule of type `date`.", pattern=r"^(19[7-9]|2[01]\d)\d-\d\d-\d\d$"),
    ] = None
    intervals: list[IntervalSaid] = Field(max_length=24)


Rules = Annotated[list[RuleSaid], Field(max_length=400, description="One for each day or date.")]


class CreateSchedule(Body):
    name: Name
    location_id: str
    user_id: str
    timezone: Zone
    rules: Rules = []
    calendar_ids: list[str] = Field(default=[], max_length=MOST_CALENDARS)


class UpdateSchedule(Body):
    """A patch: the defaults are never used, for a field that was not sent stays as it is."""

    name: Name = ""
    timezone: Zone = ""
    rules: Rules = []


class SchedulesAsked(InLocation, Some):
    user_id: str
    calendar_id: str | None = None


class RuleShown(ResponseModel):
    type: Literal["wday", "date"]
    intervals: list[dict[str, str]]


class ScheduleShown(Kept):
    name: str
    location_id: str
    user_id: str | None
    timezone: str
    rules: list[RuleShown]
    calendar_ids: list[str]
    deleted: bool


class OneSchedule(ResponseModel):
    schedule: ScheduleShown


class Schedules(ResponseModel):
    schedules: list[ScheduleShown]


async def search_schedules(call: Call) -> dict[str, Any]:
    """A user's schedules in a location, oldest first; those of one calendar, if it is named."""
    query: SchedulesAsked = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    await check_users(call, {"userId": query.user_id})
    like: dict[str, Any] = {"userId": query.user_id}
    if query.calendar_id is not None:
        like["calendarIds"] = [await known_calendar(call, query.calendar_id)]
    there = await schedules.find(
        call.runtime.db,
        call.account_id,
        like,
        location_id=query.location_id,
        limit=query.limit,
        skip=query.skip,
    )
    return {"schedules": [shown(schedule) for schedule in there]}


async def create_schedule(call: Call) -> Reply:
    body: CreateSchedule = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    await check_users(call, {"userId": body.user_id})
    said = {**body.model_dump(), "calendar_ids": known_ids(body.calendar_ids)}
    schedule = Schedule.model_validate({**begun(call), **said})
    async with call.runtime.db.transaction() as db:
        schedule = await handlers.create_schedule(db, call.account_id, schedule, now=call.now)
    return _written(schedule)


async def get_schedule(call: Call) -> Reply:
    schedule: Schedule = await found(call, schedules, "id")
    return written({"schedule": shown(schedule)}, schedule.version, {})


async def update_schedule(call: Call) -> Reply:
    schedule_id = (await found(call, schedules, "id")).id
    async with call.runtime.db.transaction() as db:
        schedule = await handlers.change_schedule(
            db, call.account_id, schedule_id, sent(call.body), now=call.now, expected=call.if_match
        )
    return _written(schedule)


async def delete_schedule(call: Call) -> Reply:
    """Delete the schedule; its calendars are open again as they say themselves."""
    return await delete_once(call, schedules, call.id("id"), handlers.delete_schedule)


async def associate(call: Call) -> Reply:
    """The schedule replaces the open hours of this calendar; where it does already, it goes on."""
    return await _associated(call, handlers.associate)


async def dissociate(call: Call) -> Reply:
    """The schedule counts on this calendar no more; where it did not, that is well, too."""
    return await _associated(call, handlers.dissociate)


async def known_calendar(call: Call, calendar_id: str) -> str:
    """A calendar of the account that is not deleted; else it is unknown."""
    known_ids([calendar_id])
    there = await calendar(call.runtime.db, call.account_id, calendar_id)
    call.reach(there.location_id if there else None)
    return calendar_id


async def _associated(call: Call, change: Any) -> Reply:  # one of two commands
    schedule_id = (await found(call, schedules, "id")).id
    calendar_id = await known_calendar(call, call.id("calendarId"))
    async with call.runtime.db.transaction() as db:
        schedule = await change(db, call.account_id, schedule_id, calendar_id, now=call.now)
    return Reply({"success": True}, headers=read_token(schedule.versions))


def shown(schedule: Schedule) -> dict[str, Any]:
    """The schedule object of the API."""
    state = schedule.model_dump(
        mode="json", by_alias=True, exclude={"sequence", "versions", "rules"}
    )
    rules = [rule.model_dump(by_alias=True, exclude_none=True) for rule in schedule.rules]
    return {**state, "rules": rules, "deleted": False}


def _written(schedule: Schedule) -> Reply:
    return written({"schedule": shown(schedule)}, schedule.version, schedule.versions)


READ, WRITE = "calendars.readonly", "calendars.write"
_SCHEDULE = "/calendars/schedules/{id}"
_ASSOCIATION = f"{_SCHEDULE}/associations/{{calendarId}}"
ROUTES = (
    Route(
        "GET",
        "/calendars/schedules/search",
        search_schedules,
        READ,
        query=SchedulesAsked,
        reply=Schedules,
        summary="List user availability schedules",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "POST",
        "/calendars/schedules",
        create_schedule,
        WRITE,
        body=CreateSchedule,
        reply=OneSchedule,
        status=201,
        summary="Create schedule",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "GET",
        _SCHEDULE,
        get_schedule,
        READ,
        reply=OneSchedule,
        summary="Get schedule",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _SCHEDULE,
        update_schedule,
        WRITE,
        body=UpdateSchedule,
        reply=OneSchedule,
        summary="Update schedule",
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _SCHEDULE,
        delete_schedule,
        WRITE,
        reply=Success,
        summary="Delete schedule",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _ASSOCIATION,
        associate,
        WRITE,
        reply=Success,
        summary="Apply schedule to calendar",
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _ASSOCIATION,
        dissociate,
        WRITE,
        reply=Success,
        summary="Remove schedule from calendar",
        refusals=(NotFound,),
    ),
)
