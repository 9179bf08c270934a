"""The operations on calendars."""

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from booking.api.crud import versioned_reply, warnings_of
from booking.api.presenters import present_calendar, token_header
from booking.api.schemas.calendars import (
    CalendarEnvelope,
    CalendarFields,
    CalendarListQuery,
    CalendarListResponse,
    CreateCalendar,
    UpdateCalendar,
)
from booking.api.schemas.shared import SuccessResponse
from booking.api.validation import check_conferences, check_group, check_users
from booking.domain.calendar_types import edited_dates
from booking.domain.calendars import Calendar
from booking.domain.commands import AppointmentPatch
from booking.handlers import calendars as handlers
from booking.handlers.appointments import change_appointment
from booking.handlers.holds import release_hold
from booking.handlers.resources import remove_calendar
from booking.handlers.schedules import dissociate
from booking.store import calendars as store
from booking.store.crud import resources, schedules
from booking.store.holds import list_holds_of_calendar
from hoop_platform.auth import location_zone
from hoop_platform.errors import Conflict, LocationForbidden, NotFound
from hoop_platform.http.route import AnyCall, Call, Reply, Route
from hoop_platform.ids import new_id


async def list_calendars(call: Call[None, CalendarListQuery]) -> dict[str, Any]:
    query = call.query
    database = call.runtime.db
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    if query.group_id is not None:
        await check_group(call, query.group_id)
    found = await store.list_calendars(
        database,
        call.account_id,
        query.location_id,
        group_id=query.group_id,
        drafts=query.show_drafted,
    )
    return {"calendars": [present_calendar(calendar) for calendar in found]}


async def create_calendar(call: Call[CreateCalendar]) -> Reply:
    body = call.body
    zone = await location_zone(call.caller, body.location_id, call.runtime.tables)
    settings, dates = body.settings(), body.dates()
    await _check_members(call, settings, before={})
    settings["availabilities"] = edited_dates((), dates, [new_id() for _ in dates])
    async with call.runtime.db.transaction() as db:
        created = await handlers.create_calendar(
            db,
            call.account_id,
            new_id(),
            location_id=body.location_id,
            time_zone=zone,
            settings=settings,
            now=call.now,
        )
    return _reply(*created, warnings=warnings_of(body, CalendarFields.model_fields))


def _reply(
    calendar: Calendar,
    versions: dict[str, int] | None = None,
    warnings: Mapping[str, Any] = MappingProxyType({}),
) -> Reply:
    body = {"calendar": present_calendar(calendar), **warnings}
    return versioned_reply(body, calendar.version, versions)


async def get_calendar(call: Call) -> Reply:
    return _reply(await _find(call))


async def _find(call: AnyCall) -> Calendar:
    found = await store.get_calendar(call.runtime.db, call.account_id, call.id("calendarId"))
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    return found


async def update_calendar(call: Call[UpdateCalendar]) -> Reply:
    body = call.body
    before = await _find(call)
    settings, dates = body.settings(), body.dates()
    await _check_members(call, settings, before=before.settings)
    async with call.runtime.db.transaction() as db:
        changed = await handlers.update_calendar(
            db,
            call.account_id,
            before.id,
            settings,
            dates=dates,
            new_ids=[new_id() for _ in dates],
            now=call.now,
            expected=call.if_match,
        )
    return _reply(*changed, warnings=warnings_of(body, CalendarFields.model_fields))


async def delete_calendar(call: Call) -> Reply:
    """Delete a calendar, its holds and its upcoming appointments; a second time as the first."""
    database, calendar_id = call.runtime.db, call.id("calendarId")
    call.reach(await store.get_calendar_location(database, call.account_id, calendar_id))
    await _delete_upcoming(call, calendar_id)
    await _dissociate(call, calendar_id)
    versions: dict[str, int] = {}
    with suppress(NotFound):
        async with database.transaction() as db:
            versions = await handlers.delete_calendar(
                db, call.account_id, calendar_id, now=call.now
            )
    return Reply({"success": True}, headers=token_header(versions))


async def _delete_upcoming(call: AnyCall, calendar_id: str) -> None:
    """Delete upcoming appointments and holds one by one, except those deleted meanwhile."""
    database = call.runtime.db
    patch = AppointmentPatch(
        delete=True, delete_reason="calendar_deleted", actor=call.caller.key_id
    )
    for booked in await store.list_upcoming_appointments(
        database, call.account_id, calendar_id, call.now
    ):
        with suppress(NotFound):
            await change_appointment(database, call.account_id, booked, patch, now=call.now)
    for held in await list_holds_of_calendar(database, call.account_id, calendar_id):
        with suppress(NotFound):
            await release_hold(database, call.account_id, held, now=call.now)


async def _dissociate(call: AnyCall, calendar_id: str) -> None:
    """Remove the calendar from its schedules and resources."""
    database, account_id = call.runtime.db, call.account_id
    associated = {"calendarIds": [calendar_id]}
    for schedule in await schedules.list_matching(database, account_id, associated):
        with suppress(NotFound):
            async with database.transaction() as db:
                await dissociate(db, account_id, schedule.id, calendar_id, now=call.now)
    for resource in await resources.list_matching(database, account_id, associated):
        with suppress(NotFound):
            async with database.transaction() as db:
                await remove_calendar(db, account_id, resource.id, calendar_id, now=call.now)


async def _check_members(
    call: AnyCall, settings: dict[str, Any], *, before: Mapping[str, Any]
) -> None:
    """422 names members that are no users, and online meetings whose links nobody could create."""
    members = [member["userId"] for member in settings.get("teamMembers") or ()]
    await check_users(call, {f"teamMembers.{n}.userId": user for n, user in enumerate(members)})
    await check_conferences(call, before, {**before, **settings})


READ, WRITE = "calendars.readonly", "calendars.write"
_CALENDAR = "/calendars/{calendarId}"
ROUTES = (
    Route(
        "GET",
        "/calendars/",
        list_calendars,
        READ,
        query=CalendarListQuery,
        reply=CalendarListResponse,
        summary="Get calendars",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "POST",
        "/calendars/",
        create_calendar,
        WRITE,
        body=CreateCalendar,
        reply=CalendarEnvelope,
        summary="Create calendar",
        refusals=(LocationForbidden, NotFound, Conflict),
    ),
    Route(
        "GET",
        _CALENDAR,
        get_calendar,
        READ,
        reply=CalendarEnvelope,
        summary="Get calendar",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _CALENDAR,
        update_calendar,
        WRITE,
        body=UpdateCalendar,
        reply=CalendarEnvelope,
        summary="Update calendar",
        refusals=(NotFound, Conflict),
    ),
    Route(
        "DELETE",
        _CALENDAR,
        delete_calendar,
        WRITE,
        reply=SuccessResponse,
        summary="Delete calendar",
        description="Its upcoming appointments are deleted as well, one by one, and announced.",
        refusals=(NotFound,),
    ),
)
