"""The operations on schedules and on their association with calendars."""

from collections.abc import Awaitable
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from booking.api.crud import delete_once, find, initial_fields, sent_fields, versioned_reply
from booking.api.presenters import token_header
from booking.api.schemas.shared import (
    LocationQuery,
    Name,
    OffsetPageQuery,
    SuccessResponse,
    VersionedResponse,
)
from booking.api.validation import check_users, known_calendar, known_ids
from booking.domain.checks import MAX_CALENDARS
from booking.handlers import schedules as handlers
from booking.store.crud import schedules
from hoop_events.calendars import Schedule
from hoop_platform.auth import location_zone
from hoop_platform.db.database import Tx
from hoop_platform.errors import LocationForbidden, NotFound
from hoop_platform.http.parse import Body
from hoop_platform.http.route import AnyCall, Call, Reply, ResponseModel, Route

ClockTime = Annotated[str, Field(pattern=r"^(([01]?[0-9]|2[0-3]):[0-5][0-9]|24:00)$")]
DayName = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
ZoneName = Annotated[str, Field(max_length=100, description="A zone of the IANA database.")]


class ScheduleIntervalBody(Body):
    """Wall-clock times, `from` before `to`; `24:00` is midnight."""

    from_: ClockTime = Field(alias="from")
    to: ClockTime


class ScheduleRuleBody(Body):
    """The open hours of a weekday, or of one date, which replaces its weekday."""

    type: Literal["wday", "date"]
    day: Annotated[DayName | None, Field(description="Of a rule of type `wday`.")] = None
    date: Annotated[
        str | None,
        Field(description="Of a rule of type `date`.", pattern=r"^(19[7-9]|2[01]\d)\d-\d\d-\d\d$"),
    ] = None
    intervals: list[ScheduleIntervalBody] = Field(max_length=24)


ScheduleRules = Annotated[
    list[ScheduleRuleBody], Field(max_length=400, description="One for each day or date.")
]


class CreateSchedule(Body):
    name: Name
    location_id: str
    user_id: str
    timezone: ZoneName
    rules: ScheduleRules = []
    calendar_ids: list[str] = Field(default=[], max_length=MAX_CALENDARS)


class UpdateSchedule(Body):
    """A patch: a field that is not sent stays as it is, and defaults are never used."""

    name: Name = ""
    timezone: ZoneName = ""
    rules: ScheduleRules = []


class ScheduleListQuery(LocationQuery, OffsetPageQuery):
    user_id: str
    calendar_id: str | None = None


class ScheduleRuleResponse(ResponseModel):
    type: Literal["wday", "date"]
    intervals: list[dict[str, str]]


class ScheduleResponse(VersionedResponse):
    name: str
    location_id: str
    user_id: str | None
    timezone: str
    rules: list[ScheduleRuleResponse]
    calendar_ids: list[str]
    deleted: bool


class ScheduleEnvelope(ResponseModel):
    schedule: ScheduleResponse


class ScheduleListResponse(ResponseModel):
    schedules: list[ScheduleResponse]


async def search_schedules(call: Call[None, ScheduleListQuery]) -> dict[str, Any]:
    """A user's schedules in a location, oldest first; only those of `calendarId` if given."""
    query = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    await check_users(call, {"userId": query.user_id})
    fields: dict[str, Any] = {"userId": query.user_id}
    if query.calendar_id is not None:
        fields["calendarIds"] = [await known_calendar(call, query.calendar_id)]
    found = await schedules.list_matching(
        call.runtime.db,
        call.account_id,
        fields,
        location_id=query.location_id,
        limit=query.limit,
        skip=query.skip,
    )
    return {"schedules": [present_schedule(schedule) for schedule in found]}


async def create_schedule(call: Call[CreateSchedule]) -> Reply:
    body = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    await check_users(call, {"userId": body.user_id})
    fields = {**body.model_dump(), "calendar_ids": known_ids(body.calendar_ids, "calendarIds")}
    schedule = Schedule.model_validate({**initial_fields(call), **fields})
    async with call.runtime.db.transaction() as db:
        schedule = await handlers.create_schedule(db, call.account_id, schedule, now=call.now)
    return _reply(schedule)


async def get_schedule(call: Call) -> Reply:
    schedule = await find(call, schedules, "id")
    return versioned_reply({"schedule": present_schedule(schedule)}, schedule.version)


async def update_schedule(call: Call[UpdateSchedule]) -> Reply:
    schedule_id = (await find(call, schedules, "id")).id
    changes = sent_fields(call.body)
    async with call.runtime.db.transaction() as db:
        schedule = await handlers.change_schedule(
            db, call.account_id, schedule_id, changes, now=call.now, expected=call.if_match
        )
    return _reply(schedule)


async def delete_schedule(call: Call) -> Reply:
    """Delete the schedule; its calendars use their own open hours again."""
    return await delete_once(call, schedules, call.id("id"), handlers.delete_schedule)


async def associate(call: Call) -> Reply:
    """Apply the schedule to a calendar, whose open hours it replaces; also if it applies already."""
    return await _change_association(call, handlers.associate)


async def dissociate(call: Call) -> Reply:
    """Remove the schedule from a calendar; also if it does not apply."""
    return await _change_association(call, handlers.dissociate)


class ChangeAssociation(Protocol):
    """A command that associates a schedule with a calendar, or ends the association."""

    def __call__(
        self, db: Tx, account_id: str, schedule_id: str, calendar_id: str, *, now: datetime
    ) -> Awaitable[Schedule]: ...


async def _change_association(call: AnyCall, command: ChangeAssociation) -> Reply:
    schedule_id = (await find(call, schedules, "id")).id
    calendar_id = await known_calendar(call, call.id("calendarId"))
    async with call.runtime.db.transaction() as db:
        schedule = await command(db, call.account_id, schedule_id, calendar_id, now=call.now)
    return Reply({"success": True}, headers=token_header(schedule.versions))


def present_schedule(schedule: Schedule) -> dict[str, Any]:
    """The schedule object of the API."""
    state = schedule.model_dump(
        mode="json", by_alias=True, exclude={"sequence", "versions", "rules"}
    )
    rules = [rule.model_dump(by_alias=True, exclude_none=True) for rule in schedule.rules]
    return {**state, "rules": rules, "deleted": False}


def _reply(schedule: Schedule) -> Reply:
    body = {"schedule": present_schedule(schedule)}
    return versioned_reply(body, schedule.version, schedule.versions)


READ, WRITE = "calendars.readonly", "calendars.write"
_SCHEDULE = "/calendars/schedules/{id}"
_ASSOCIATION = f"{_SCHEDULE}/associations/{{calendarId}}"
ROUTES = (
    Route(
        "GET",
        "/calendars/schedules/search",
        search_schedules,
        READ,
        query=ScheduleListQuery,
        reply=ScheduleListResponse,
        summary="List user availability schedules",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "POST",
        "/calendars/schedules",
        create_schedule,
        WRITE,
        body=CreateSchedule,
        reply=ScheduleEnvelope,
        status=201,
        summary="Create schedule",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "GET",
        _SCHEDULE,
        get_schedule,
        READ,
        reply=ScheduleEnvelope,
        summary="Get schedule",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _SCHEDULE,
        update_schedule,
        WRITE,
        body=UpdateSchedule,
        reply=ScheduleEnvelope,
        summary="Update schedule",
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _SCHEDULE,
        delete_schedule,
        WRITE,
        reply=SuccessResponse,
        summary="Delete schedule",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _ASSOCIATION,
        associate,
        WRITE,
        reply=SuccessResponse,
        summary="Apply schedule to calendar",
        refusals=(NotFound,),
    ),
    Route(
        "DELETE",
        _ASSOCIATION,
        dissociate,
        WRITE,
        reply=SuccessResponse,
        summary="Remove schedule from calendar",
        refusals=(NotFound,),
    ),
)
