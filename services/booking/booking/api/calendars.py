"""The operations on calendars."""

from contextlib import suppress
from typing import Any

from booking.api.calendar_answers import Calendars, OneCalendar, shown_calendar
from booking.api.calendar_bodies import CalendarsAsked, CreateCalendar, UpdateCalendar
from booking.api.documents import Success, known_group, written
from booking.api.people import unknown_people
from booking.api.shown import read_token
from booking.domain.calendar_types import edited_dates
from booking.domain.calendars import Calendar, conference_members
from booking.domain.patches import Patch
from booking.handlers import appointments
from booking.handlers import calendars as handlers
from booking.handlers.holds import release_hold
from booking.handlers.resources import withdraw
from booking.handlers.schedules import dissociate
from booking.store import calendars as store
from booking.store import known
from booking.store.documents import resources, schedules
from booking.store.holds import of_calendar
from hoop_platform.auth import location_zone
from hoop_platform.errors import Conflict, Detail, Invalid, LocationForbidden, NotFound
from hoop_platform.http.route import Call, Reply, Route
from hoop_platform.ids import is_id, new_id

INTEGRATION_MISSING = "connect the account of this user first, or choose another location"


async def list_calendars(call: Call) -> dict[str, Any]:
    query: CalendarsAsked = call.query
    database = call.runtime.db
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    if query.group_id is not None:
        await known_group(call, query.group_id)
    found = await store.calendars(
        database,
        call.account_id,
        query.location_id,
        group_id=query.group_id,
        drafts=query.show_drafted,
    )
    return {"calendars": [shown_calendar(calendar) for calendar in found]}


async def create_calendar(call: Call) -> Reply:
    body: CreateCalendar = call.body
    zone = await location_zone(call.caller, body.location_id, call.runtime.tables)
    settings, dates = body.settings(), body.dates()
    await _check_people(call, settings)
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
    return _written(*created)


def _written(calendar: Calendar, versions: dict[str, int]) -> Reply:
    return written({"calendar": shown_calendar(calendar)}, calendar.version, versions)


async def get_calendar(call: Call) -> Reply:
    return _written(await _found(call), {})


async def _found(call: Call) -> Calendar:
    found = await store.calendar(call.runtime.db, call.account_id, call.id("calendarId"))
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    return found


async def update_calendar(call: Call) -> Reply:
    body: UpdateCalendar = call.body
    calendar_id = (await _found(call)).id
    settings, dates = body.settings(), body.dates()
    await _check_people(call, settings)
    async with call.runtime.db.transaction() as db:
        changed = await handlers.update_calendar(
            db,
            call.account_id,
            calendar_id,
            settings,
            dates=dates,
            new_ids=[new_id() for _ in dates],
            now=call.now,
            expected=call.if_match,
        )
    return _written(*changed)


async def delete_calendar(call: Call) -> Reply:
    """Delete a calendar and what is held and booked on it ahead; the second time answers as the first."""
    database, calendar_id = call.runtime.db, call.id("calendarId")
    call.reach(await store.calendar_location(database, call.account_id, calendar_id))
    await _clear(call, calendar_id)
    await _set_apart(call, calendar_id)
    versions: dict[str, int] = {}
    with suppress(NotFound):
        async with database.transaction() as db:
            versions = await handlers.delete_calendar(
                db, call.account_id, calendar_id, now=call.now
            )
    return Reply({"success": True}, headers=read_token(versions))


async def _clear(call: Call, calendar_id: str) -> None:
    """Delete what is ahead, one by one; what somebody else has deleted meanwhile is deleted."""
    database = call.runtime.db
    patch = Patch(delete=True, because="calendar_deleted", actor=call.caller.key_id)
    for booked in await store.upcoming(database, call.account_id, calendar_id, call.now):
        with suppress(NotFound):
            await appointments.change(database, call.account_id, booked, patch, now=call.now)
    for held in await of_calendar(database, call.account_id, calendar_id):
        with suppress(NotFound):
            await release_hold(database, call.account_id, held, now=call.now)


async def _set_apart(call: Call, calendar_id: str) -> None:
    """Take it out of the schedules that apply to it and of the resources that it needs."""
    database, account_id = call.runtime.db, call.account_id
    like = {"calendarIds": [calendar_id]}
    for schedule in await schedules.find(database, account_id, like):
        with suppress(NotFound):
            async with database.transaction() as db:
                await dissociate(db, account_id, schedule.id, calendar_id, now=call.now)
    for resource in await resources.find(database, account_id, like):
        with suppress(NotFound):
            async with database.transaction() as db:
                await withdraw(db, account_id, resource.id, calendar_id, now=call.now)


async def _check_people(call: Call, settings: dict[str, Any]) -> None:
    """Members are users of the account, and have what their locations need; else 422."""
    members = [member["userId"] for member in settings.get("teamMembers") or ()]
    wrong = await _wrong(call, settings, members)
    if wrong and await call.runtime.catch_up():
        wrong = await _wrong(call, settings, members)
    if wrong:
        raise Invalid(details=wrong)


async def _wrong(call: Call, settings: dict[str, Any], members: list[str]) -> list[Detail]:
    named = {f"teamMembers.{n}.userId": member for n, member in enumerate(members)}
    wrong = await unknown_people(call, named)
    spelled = [member for member in members if is_id(member)]
    connected = {
        (c["ownerId"], c["provider"])
        for c in await known.connections(call.runtime.db, call.account_id, spelled)
        if c["status"] != "disconnected"
    }
    path = "teamMembers.{}.locationConfigurations"
    return wrong + [
        Detail(path.format(n), "integration_missing", f"{provider}: {INTEGRATION_MISSING}")
        for n, member, provider in conference_members(settings)
        if (member, provider) not in connected
    ]


READ, WRITE = "calendars.readonly", "calendars.write"
_CALENDAR = "/calendars/{calendarId}"
ROUTES = (
    Route(
        "GET",
        "/calendars/",
        list_calendars,
        READ,
        query=CalendarsAsked,
        reply=Calendars,
        summary="Get calendars",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "POST",
        "/calendars/",
        create_calendar,
        WRITE,
        body=CreateCalendar,
        reply=OneCalendar,
        summary="Create calendar",
        refusals=(LocationForbidden, NotFound, Conflict),
    ),
    Route(
        "GET",
        _CALENDAR,
        get_calendar,
        READ,
        reply=OneCalendar,
        summary="Get calendar",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _CALENDAR,
        update_calendar,
        WRITE,
        body=UpdateCalendar,
        reply=OneCalendar,
        summary="Update calendar",
        refusals=(NotFound, Conflict),
    ),
    Route(
        "DELETE",
        _CALENDAR,
        delete_calendar,
        WRITE,
        reply=Success,
        summary="Delete calendar",
        description="What is booked on it ahead is deleted, too, one by one, and announced.",
        refusals=(NotFound,),
    ),
)
