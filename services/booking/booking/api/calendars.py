"""The operations on calendars."""

from typing import Any

from booking.api.models import CreateCalendar, InLocation, UpdateCalendar
from booking.api.shown import read_token, shown_calendar
from booking.domain.calendars import Calendar, conference_members
from booking.domain.patches import Patch
from booking.handlers import appointments
from booking.handlers import calendars as handlers
from booking.handlers.holds import release_hold
from booking.store import calendars as store
from booking.store import known
from booking.store.holds import of_calendar
from shared.auth import location_zone
from shared.errors import Detail, Invalid, NotFound
from shared.http import Call, Reply, Route
from shared.ids import is_id, new_id

INTEGRATION_MISSING = "connect the account of this user first, or choose another location"


async def list_calendars(call: Call) -> dict[str, Any]:
    query: InLocation = call.query
    await location_zone(call.caller, query.location_id, call.runtime.tables)
    found = await store.calendars(call.runtime.db, call.account_id, query.location_id)
    return {"calendars": [shown_calendar(calendar) for calendar in found]}


async def create_calendar(call: Call) -> Reply:
    body: CreateCalendar = call.body
    zone = await location_zone(call.caller, body.location_id, call.runtime.tables)
    settings = body.settings()
    await _check_people(call, settings)
    async with call.runtime.db.transaction() as db:
        written = await handlers.create_calendar(
            db,
            call.account_id,
            new_id(),
            location_id=body.location_id,
            time_zone=zone,
            settings=settings,
            now=call.now,
        )
    return _written(*written)


def _written(calendar: Calendar, versions: dict[str, int]) -> Reply:
    return Reply({"calendar": shown_calendar(calendar)}, headers=read_token(versions))


async def get_calendar(call: Call) -> dict[str, Any]:
    found = await store.calendar(call.runtime.db, call.account_id, call.id("calendarId"))
    if found is None:
        raise NotFound
    return {"calendar": shown_calendar(found)}


async def update_calendar(call: Call) -> Reply:
    body: UpdateCalendar = call.body
    calendar_id = call.id("calendarId")
    await get_calendar(call)
    settings = body.sent()
    await _check_people(call, settings)
    async with call.runtime.db.transaction() as db:
        written = await handlers.update_calendar(
            db, call.account_id, calendar_id, settings, now=call.now
        )
    return _written(*written)


async def delete_calendar(call: Call) -> Reply:
    """Delete a calendar and, one by one, what is held and booked on it ahead."""
    database, calendar_id = call.runtime.db, call.id("calendarId")
    ahead = await store.upcoming(database, call.account_id, calendar_id, call.now)
    patch = Patch(delete=True, actor=call.caller.key_id)
    for appointment_id in ahead:
        await appointments.change(database, call.account_id, appointment_id, patch, now=call.now)
    for hold_id in await of_calendar(database, call.account_id, calendar_id):
        await release_hold(database, call.account_id, hold_id, now=call.now)
    async with database.transaction() as db:
        versions = await handlers.delete_calendar(db, call.account_id, calendar_id, now=call.now)
    return Reply({"success": True}, headers=read_token(versions))


async def _check_people(call: Call, settings: dict[str, Any]) -> None:
    """Members are users of the account, and have what their locations need; else 422."""
    members = [member["userId"] for member in settings.get("teamMembers") or ()]
    wrong = await _wrong(call, settings, members)
    if wrong and await call.runtime.catch_up():
        wrong = await _wrong(call, settings, members)
    if wrong:
        raise Invalid(details=wrong)


async def _wrong(call: Call, settings: dict[str, Any], members: list[str]) -> list[Detail]:
    database = call.runtime.db
    spelled = [member for member in members if is_id(member)]
    unknown = {
        *await known.unknown_users(database, call.account_id, spelled),
        *(member for member in members if not is_id(member)),
    }
    wrong = [
        Detail(f"teamMembers.{n}.userId", "unknown_user", "is no user of the account")
        for n, member in enumerate(members)
        if member in unknown
    ]
    connected = {
        (c["ownerId"], c["provider"])
        for c in await known.connections(database, call.account_id, spelled)
        if c["status"] != "disconnected"
    }
    path = "teamMembers.{}.locationConfigurations"
    return wrong + [
        Detail(path.format(n), "integration_missing", f"{provider}: {INTEGRATION_MISSING}")
        for n, member, provider in conference_members(settings)
        if (member, provider) not in connected
    ]


_CALENDAR = "/calendars/{calendarId}"
ROUTES = (
    Route(
        "GET",
        "/calendars/",
        list_calendars,
        "calendars.readonly",
        query=InLocation,
        summary="Get calendars",
    ),
    Route(
        "POST",
        "/calendars/",
        create_calendar,
        "calendars.write",
        body=CreateCalendar,
        summary="Create calendar",
    ),
    Route("GET", _CALENDAR, get_calendar, "calendars.readonly", summary="Get calendar"),
    Route(
        "PUT",
        _CALENDAR,
        update_calendar,
        "calendars.write",
        body=UpdateCalendar,
        summary="Update calendar",
    ),
    Route("DELETE", _CALENDAR, delete_calendar, "calendars.write", summary="Delete calendar"),
)
