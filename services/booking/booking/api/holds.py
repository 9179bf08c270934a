"""The operations on holds: hold a time for some minutes, and release it."""

from contextlib import suppress
from datetime import timedelta

from booking.api.alternatives import with_alternatives
from booking.api.presenters import present_hold, token_header
from booking.api.schemas.appointments import CreateHold, HoldEnvelope
from booking.api.schemas.shared import SuccessResponse
from booking.api.validation import known_calendar
from booking.domain.requested_time import SlotLost
from booking.handlers import holds as handlers
from booking.handlers.holds import HoldRequest
from booking.store.holds import get_hold, is_gone_hold
from hoop_platform.errors import CalendarInactive, NoHost, NotFound, SlotUnavailable, WrongLength
from hoop_platform.http.route import Call, Reply, Route
from hoop_platform.ids import new_id


async def create_hold(call: Call[CreateHold]) -> Reply:
    """Hold a time under the rules of a booking; a new appointment with `holdId` takes the time."""
    body = call.body
    request = HoldRequest(
        calendar_id=await known_calendar(call, call.id("calendarId")),
        start=body.start_time,
        until=call.now + timedelta(seconds=body.ttl_seconds),
        end=body.end_time,
        host=body.assigned_user_id,
    )
    try:
        held = await handlers.create_hold(
            call.runtime.db, call.account_id, new_id(), request, now=call.now
        )
    except SlotLost as lost:
        raise await with_alternatives(call, lost) from None
    return Reply({"hold": present_hold(held)}, headers=token_header(held.versions))


async def delete_hold(call: Call) -> Reply:
    """Release a hold; the response is the same for one that is released, booked or expired."""
    calendar_id = await known_calendar(call, call.id("calendarId"))
    hold_id = call.id("holdId")
    held = await get_hold(call.runtime.db, call.account_id, hold_id)
    if held is not None and held.calendar_id == calendar_id:
        with suppress(NotFound):  # expired or booked since then
            await handlers.release_hold(
                call.runtime.db, call.account_id, hold_id, now=call.now, actor=call.caller.key_id
            )
    elif not await is_gone_hold(call.runtime.db, call.account_id, hold_id, calendar_id):
        raise NotFound("holdId")
    return Reply({"success": True})


ROUTES = (
    Route(
        "POST",
        "/calendars/{calendarId}/holds",
        create_hold,
        "calendars/events.write",
        body=CreateHold,
        reply=HoldEnvelope,
        status=201,
        summary="Create hold",
        description="The time is not offered to others until `expiresAt`. A new appointment with"
        " this `holdId` takes the time and the id.",
        refusals=(NotFound, SlotUnavailable, WrongLength, CalendarInactive, NoHost),
    ),
    Route(
        "DELETE",
        "/calendars/{calendarId}/holds/{holdId}",
        delete_hold,
        "calendars/events.write",
        reply=SuccessResponse,
        summary="Delete hold",
        description="A second request, or one for a booked hold, has the same response.",
        refusals=(NotFound,),
    ),
)
