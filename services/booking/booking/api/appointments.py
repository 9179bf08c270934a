"""The operations on appointments."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

from booking.api.alternatives import with_alternatives
from booking.api.presenters import (
    appointment_reply,
    changed_series_reply,
    etag_reply,
    highest_versions,
    new_series_reply,
    present_appointment,
    token_header,
)
from booking.api.schemas.appointments import (
    AppointmentEnvelope,
    AppointmentWriteResponse,
    CreateAppointment,
    EventDeletedResponse,
    UpdateAppointment,
    patch_of,
)
from booking.api.validation import known_id
from booking.domain.commands import AppointmentPatch, NewAppointment
from booking.domain.requested_time import SlotLost
from booking.handlers.appointments import (
    Preconditions,
    SeriesRequired,
    book,
    book_held,
    change_appointment,
)
from booking.handlers.block_slots import delete_block_slot_if_any
from booking.handlers.commit import ContactUnknown
from booking.handlers.series import (
    book_series,
    change_series,
    delete_series,
    get_next_occurrence,
)
from booking.store import appointments as store
from booking.store.crud import block_slots
from hoop_platform.auth import location_zone
from hoop_platform.db.database import Database
from hoop_platform.errors import (
    AlreadyAttending,
    CalendarInactive,
    LocationForbidden,
    NoHost,
    NotFound,
    PreconditionFailed,
    SlotUnavailable,
    StateConflict,
    WrongLength,
)
from hoop_platform.http.route import AnyCall, Call, Reply, Route
from hoop_platform.ids import is_id, new_id

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Create(Protocol[Result_co]):
    """A command that books a time, a hold or a series."""

    def __call__(
        self,
        database: Database,
        account_id: str,
        new: NewAppointment,
        patch: AppointmentPatch,
        *,
        location_id: str,
        now: datetime,
    ) -> Awaitable[Result_co]: ...


async def create_appointment(call: Call[CreateAppointment]) -> Reply:
    """Book one time, a hold, or a series; the refusal of a taken time lists alternatives."""
    body = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    for path, sent in (("calendarId", body.calendar_id), ("contactId", body.contact_id)):
        if not is_id(sent):
            raise NotFound(path)
    patch = patch_of(body, actor=call.caller.key_id)
    try:
        if body.hold_id is not None:
            return await _create_held(call, body.hold_id, patch)
        if body.rrule is not None:
            return await _create_series(call, patch)
        return await _create_one(call, patch)
    except SlotLost as lost:
        raise await with_alternatives(call, lost) from None


async def _create_one(call: Call[CreateAppointment], patch: AppointmentPatch) -> Reply:
    """One appointment; or a series, if the calendar makes one of it."""
    try:
        return appointment_reply(await _create(call, book, new_id(), patch))
    except SeriesRequired:
        return await _create_series(call, patch)


async def _create_held(
    call: Call[CreateAppointment], hold_id: str, patch: AppointmentPatch
) -> Reply:
    """The appointment that a hold becomes, with its id."""
    if not is_id(hold_id):
        raise SlotUnavailable(extra={"reason": "hold_gone"})
    return appointment_reply(await _create(call, book_held, hold_id, patch))


async def _create_series(call: Call[CreateAppointment], patch: AppointmentPatch) -> Reply:
    """The occurrences of a rule, as many as can be booked."""
    return new_series_reply(await _create(call, book_series, new_id(), patch))


async def _create(
    call: Call[CreateAppointment], command: Create[Result], key: str, patch: AppointmentPatch
) -> Result:
    """The result of the command; waits for a contact that was created a moment ago."""
    new = NewAppointment(key, call.body.contact_id)

    async def attempt() -> Result | None:
        try:
            return await command(
                call.runtime.db,
                call.account_id,
                new,
                patch,
                location_id=call.body.location_id,
                now=call.now,
            )
        except ContactUnknown:
            return None

    result = await call.runtime.known(attempt)
    if result is None:
        raise ContactUnknown
    return result


async def get_appointment(call: Call) -> Reply:
    """An appointment or an occurrence; of a series its next occurrence, else its last."""
    event_id = call.row_id("eventId")
    found = await store.get_appointment(call.runtime.db, call.account_id, event_id)
    if found is None:
        found = await get_next_occurrence(call.runtime.db, call.account_id, event_id, now=call.now)
    _preconditions(call).check_location(found.location_id)
    appointment = present_appointment(found)
    return etag_reply({"event": appointment, "appointment": appointment}, version=found.version)


def _preconditions(call: AnyCall) -> Preconditions:
    return Preconditions(call.if_match, call.caller.location_ids)


async def update_appointment(call: Call[UpdateAppointment]) -> Reply:
    """Change an appointment; with the id of a series all its upcoming occurrences, or none."""
    body = call.body
    if body.calendar_id is not None:
        known_id(body.calendar_id, "calendarId")
    patch = patch_of(body, actor=call.caller.key_id)
    try:
        return appointment_reply(await _change(call, change_appointment, patch))
    except SlotLost as lost:
        raise await with_alternatives(call, lost) from None
    except NotFound:
        if not await store.exists_series(call.runtime.db, call.account_id, call.row_id("eventId")):
            raise
    try:
        return changed_series_reply(await _change(call, change_series, patch))
    except SlotLost as lost:
        raise await with_alternatives(call, lost) from None


async def _change(
    call: AnyCall, change: Callable[..., Awaitable[Result]], patch: AppointmentPatch
) -> Result:
    """Apply a patch to what the path names."""
    return await change(
        call.runtime.db,
        call.account_id,
        call.row_id("eventId"),
        patch,
        preconditions=_preconditions(call),
        now=call.now,
    )


async def delete_event(call: Call) -> Reply:
    """Delete an appointment, the upcoming occurrences of a series, or a block slot.

    A second request has the response of the first.
    """
    database, event_id = call.runtime.db, call.row_id("eventId")
    patch = AppointmentPatch(delete=True, actor=call.caller.key_id)
    try:
        deleted = [await _change(call, change_appointment, patch)]
    except NotFound:
        if await store.is_deleted(database, call.account_id, event_id):
            return Reply({"succeeded": True})
        if not await store.exists_series(database, call.account_id, event_id):
            return await _delete_block_slot(call)
        deleted = await _change(call, delete_series, patch)
    return Reply({"succeeded": True}, headers=token_header(highest_versions(deleted)))


async def _delete_block_slot(call: Call) -> Reply:
    event_id = call.row_id("eventId")
    call.reach(await block_slots.get_location(call.runtime.db, call.account_id, event_id))
    async with call.runtime.db.transaction() as db:
        versions = await delete_block_slot_if_any(db, call.account_id, event_id, now=call.now)
    if versions is None:
        raise NotFound
    return Reply({"succeeded": True}, headers=token_header(versions))


_APPOINTMENT = "/calendars/events/appointments/{eventId}"
ROUTES = (
    Route(
        "POST",
        "/calendars/events/appointments",
        create_appointment,
        "calendars/events.write",
        body=CreateAppointment,
        reply=AppointmentWriteResponse,
        summary="Create appointment",
        description="With `rrule` (or on a calendar with `enableRecurring`) a series: the response"
        " is its first occurrence that was booked, and `occurrences` lists the outcome of each."
        " A taken time is 400 `slot_unavailable`, with up to five `alternatives`. A contact who has"
        " a seat of the session is refused with 409 `already_attending`, which names the"
        " `appointmentId`, unless the calendar has `allowSameContact`.",
        refusals=(
            SlotUnavailable,
            WrongLength,
            CalendarInactive,
            NoHost,
            LocationForbidden,
            NotFound,
            AlreadyAttending,
        ),
    ),
    Route(
        "GET",
        _APPOINTMENT,
        get_appointment,
        "calendars/events.readonly",
        reply=AppointmentEnvelope,
        summary="Get appointment",
        description="With the id of a series: its next occurrence, else its last.",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _APPOINTMENT,
        update_appointment,
        "calendars/events.write",
        body=UpdateAppointment,
        reply=AppointmentWriteResponse,
        summary="Update appointment",
        description="A field that is not sent stays as it is. With the id of a series, all its"
        " upcoming occurrences are changed, or none: `startTime` is that of the first of them."
        " Another `assignedUserId` gives the appointment to that member of the calendar's team; 400"
        " `slot_unavailable` lists those who are free in `details`.",
        refusals=(
            NotFound,
            SlotUnavailable,
            WrongLength,
            CalendarInactive,
            NoHost,
            StateConflict,
            AlreadyAttending,
            PreconditionFailed,
        ),
    ),
    Route(
        "DELETE",
        "/calendars/events/{eventId}",
        delete_event,
        "calendars/events.write",
        reply=EventDeletedResponse,
        status=201,
        summary="Delete event",
        description="An appointment or a block slot; of a series, the upcoming occurrences."
        " A second request has the same response.",
        refusals=(NotFound, PreconditionFailed),
    ),
)
