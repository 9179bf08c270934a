"""The operations on holds: keep a time for some minutes, and give it back."""

from datetime import timedelta

from booking.api.appointment_answers import HoldAnswer, HoldGone
from booking.api.appointment_bodies import CreateHold
from booking.api.appointment_examples import HOLD
from booking.api.offering import offering
from booking.api.shown import read_token, shown_hold
from booking.handlers.holds import HoldRequest, create_hold, release_hold
from booking.store import calendars
from booking.store import holds as store
from hoop_platform.errors import CalendarInactive, NotFound, SlotUnavailable, WrongLength
from hoop_platform.http.route import Call, Reply, Route
from hoop_platform.ids import new_id


async def post_hold(call: Call) -> Reply:
    """Keep a time under the rules of a booking; create the appointment with `holdId` in time."""
    body: CreateHold = call.body
    wanted = HoldRequest(
        await _calendar(call),
        body.start_time,
        call.now + timedelta(seconds=body.ttl_seconds),
        body.end_time,
        body.assigned_user_id,
    )
    async with offering(call):
        held = await create_hold(call.runtime.db, call.account_id, new_id(), wanted, now=call.now)
    return Reply({"hold": shown_hold(held)}, headers=read_token(held.versions))


async def _calendar(call: Call) -> str:
    """The calendar in the path, which is one of the key's."""
    found = await calendars.calendar(call.runtime.db, call.account_id, call.id("calendarId"))
    if found is None:
        raise NotFound
    call.reach(found.location_id)
    return found.id


async def delete_hold(call: Call) -> Reply:
    """Give the time back; again, or when it ran out meanwhile, it answers the same."""
    calendar_id, hold_id = await _calendar(call), call.id("holdId")
    held = await store.hold(call.runtime.db, call.account_id, hold_id)
    if held is not None and held.calendar_id == calendar_id:
        await _release(call, hold_id)
    elif not await store.was_hold(call.runtime.db, call.account_id, hold_id, calendar_id):
        raise NotFound
    return Reply({"success": True})


async def _release(call: Call, hold_id: str) -> None:
    try:
        await release_hold(
            call.runtime.db, call.account_id, hold_id, now=call.now, actor=call.caller.key_id
        )
    except NotFound:
        return  # it ran out, or was booked, just now


ROUTES = (
    Route(
        "POST",
        "/calendars/{calendarId}/holds",
        post_hold,
        "calendars/events.write",
        body=CreateHold,
        reply=HoldAnswer,
        status=201,
        summary="Hold a time",
        description="Nobody else gets it until `expiresAt`. It becomes an appointment by its"
        " `holdId`, with the same id.",
        refusals=(NotFound, SlotUnavailable, WrongLength, CalendarInactive),
        examples=HOLD,
    ),
    Route(
        "DELETE",
        "/calendars/{calendarId}/holds/{holdId}",
        delete_hold,
        "calendars/events.write",
        reply=HoldGone,
        summary="Release a hold",
        description="Again, or when it was booked meanwhile, it answers the same.",
        refusals=(NotFound,),
    ),
)
