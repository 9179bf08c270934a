"""The operations on appointments."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from booking.api.appointment_answers import EventGone, OneAppointment, WrittenAppointment
from booking.api.appointment_bodies import CreateAppointment, UpdateAppointment
from booking.api.appointment_examples import BOOKING, CHANGE
from booking.api.offering import offering
from booking.api.shown import public_id, read_token, shown_appointment, shown_outcome
from booking.domain.patches import Newcomer, Patch
from booking.domain.series import Outcome
from booking.handlers.appointments import Recurs, Terms, book, book_held, change
from booking.handlers.blocks import delete_block_if_any
from booking.handlers.deciding import ContactUnknown
from booking.handlers.series import book_series, change_series, delete_series, next_of
from booking.store import appointments as store
from booking.store.documents import blocks
from hoop_events.booking import Appointment
from hoop_platform.auth import location_zone
from hoop_platform.errors import (
    CalendarInactive,
    LocationForbidden,
    NotFound,
    PreconditionFailed,
    SlotUnavailable,
    StateConflict,
    WrongLength,
)
from hoop_platform.http.route import Call, Reply, Route
from hoop_platform.ids import is_id, new_id


async def create_appointment(call: Call) -> Reply:
    """Book one time, a held one, or a series; a lost slot names others."""
    body: CreateAppointment = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    known_id(body.calendar_id)
    newcomer = Newcomer(_held(body.hold_id) or new_id(), known_id(body.contact_id))
    deed = partial(_booked, call, newcomer, _patch(body, call), body.location_id)
    async with offering(call):
        if body.hold_id is not None:
            return _written(await deed(book_held))
        try:
            return _written(await deed(book))
        except Recurs:
            return _written_series(await deed(book_series))


def _held(hold_id: str | None) -> str | None:
    if hold_id is not None and not is_id(hold_id):
        raise SlotUnavailable(extra={"reason": "hold_gone"})
    return hold_id


async def _booked(
    call: Call, newcomer: Newcomer, patch: Patch, location_id: str, how: Callable[..., Any]
) -> Any:
    """What that command answers: an appointment, or what became of a series."""
    command = partial(
        how, call.runtime.db, call.account_id, newcomer, patch, location_id=location_id
    )
    try:
        return await command(now=call.now)
    except ContactUnknown:
        if not await call.runtime.catch_up():
            raise
    return await command(now=call.now)


def known_id(text: str) -> str:
    """What cannot be an id is as unknown as any other."""
    if not is_id(text):
        raise NotFound
    return text


def _patch(body: CreateAppointment | UpdateAppointment, call: Call) -> Patch:
    return Patch(
        calendar_id=body.calendar_id,
        start=body.start_time,
        end=body.end_time,
        host=body.assigned_user_id,
        status=body.appointment_status,
        place=body.place,
        place_id=body.place_id,
        title=body.title,
        description=body.description,
        address=body.address,
        rrule=body.rrule,
        notify=body.to_notify,
        ignore_range=body.ignore_date_range,
        ignore_rules=body.ignore_free_slot_validation,
        actor=call.caller.key_id,
    )


async def get_appointment(call: Call) -> Reply:
    """An appointment, or an occurrence; of a series its next one, else its last."""
    found = await store.appointment(call.runtime.db, call.account_id, call.row_id("eventId"))
    if found is None:
        found = await next_of(
            call.runtime.db, call.account_id, call.row_id("eventId"), now=call.now
        )
    _terms(call).reach(found.location_id)
    shown = shown_appointment(found)
    return _reply({"event": shown, "appointment": shown}, version=found.version)


def _terms(call: Call) -> Terms:
    return Terms(call.if_match, call.caller.location_ids)


async def update_appointment(call: Call) -> Reply:
    """A patch: what is not sent stays. With the id of a series: all that lies ahead, or nothing."""
    body: UpdateAppointment = call.body
    if body.calendar_id is not None:
        known_id(body.calendar_id)
    async with offering(call):
        try:
            return _written(await _changed(call, change, _patch(body, call)))
        except NotFound:
            if not await store.series_existed(
                call.runtime.db, call.account_id, call.row_id("eventId")
            ):
                raise
        return _changed_series(await _changed(call, change_series, _patch(body, call)))


async def _changed(call: Call, how: Callable[..., Any], patch: Patch) -> Any:
    return await how(
        call.runtime.db,
        call.account_id,
        call.row_id("eventId"),
        patch,
        terms=_terms(call),
        now=call.now,
    )


async def delete_event(call: Call) -> Reply:
    """Delete an appointment, what lies ahead of a series, or a block slot; again, it answers the same."""
    database, row = call.runtime.db, call.row_id("eventId")
    patch = Patch(delete=True, actor=call.caller.key_id)
    try:
        gone = [await _changed(call, change, patch)]
    except NotFound:
        if await store.was_deleted(database, call.account_id, row):
            return Reply({"succeeded": True})
        if not await store.series_existed(database, call.account_id, row):
            return await _delete_block(call)
        gone = await _changed(call, delete_series, patch)
    return Reply({"succeeded": True}, headers=read_token(_versions(gone)))


async def _delete_block(call: Call) -> Reply:
    call.reach(await blocks.location(call.runtime.db, call.account_id, call.row_id("eventId")))
    async with call.runtime.db.transaction() as db:
        versions = await delete_block_if_any(
            db, call.account_id, call.row_id("eventId"), now=call.now
        )
    if versions is None:
        raise NotFound
    return Reply({"succeeded": True}, headers=read_token(versions))


def _versions(states: Iterable[Appointment]) -> dict[str, int]:
    """The highest of each: a reader who has seen these has seen all the changes."""
    highest: dict[str, int] = {}
    for state in states:
        for key, version in state.versions.items():
            highest[key] = max(version, highest.get(key, 0))
    return highest


def _written_series(outcomes: Sequence[Outcome]) -> Reply:
    """The first occurrence that has its time, and what became of each."""
    states = [one.state for one in outcomes if one.state is not None]
    first = next(one.state for one in outcomes if one.state is not None and one.state.occupies)
    report = [shown_outcome(one, first.time_zone) for one in outcomes]
    reply = _reply({**shown_appointment(first), "occurrences": report})
    return replace(reply, headers={**reply.headers, **read_token(_versions(states))})


def _changed_series(states: Sequence[Appointment]) -> Reply:
    reply = _reply(
        {**shown_appointment(states[0]), "occurrenceIds": [public_id(one) for one in states]}
    )
    return replace(reply, headers={**reply.headers, **read_token(_versions(states))})


def _written(state: Appointment) -> Reply:
    """The answer to a change, with what a reader asks for who wants to see it."""
    reply = _reply(shown_appointment(state))
    return replace(reply, headers={**reply.headers, **read_token(state.versions)})


def _reply(shown: dict[str, Any], version: int | None = None) -> Reply:
    return Reply(shown, headers={"ETag": f'"{version or shown["version"]}"'})


_APPOINTMENT = "/calendars/events/appointments/{eventId}"
ROUTES = (
    Route(
        "POST",
        "/calendars/events/appointments",
        create_appointment,
        "calendars/events.write",
        body=CreateAppointment,
        reply=WrittenAppointment,
        summary="Create appointment",
        description="With `rrule` (or on a calendar with `enableRecurring`) a series: the answer is"
        " its first occurrence that has its time, and `occurrences` says what became of each."
        " A lost slot is 400 `slot_unavailable`, with up to five `alternatives`.",
        refusals=(
            SlotUnavailable,
            WrongLength,
            CalendarInactive,
            LocationForbidden,
            NotFound,
        ),
        examples=BOOKING,
    ),
    Route(
        "GET",
        _APPOINTMENT,
        get_appointment,
        "calendars/events.readonly",
        reply=OneAppointment,
        summary="Get appointment",
        description="The id of a series shows its next occurrence, else its last.",
        refusals=(NotFound,),
    ),
    Route(
        "PUT",
        _APPOINTMENT,
        update_appointment,
        "calendars/events.write",
        body=UpdateAppointment,
        reply=WrittenAppointment,
        summary="Update appointment",
        description="What is not sent stays as it is. With the id of a series, all its occurrences"
        " that lie ahead are changed, or none: `startTime` is that of the first of them.",
        refusals=(
            NotFound,
            SlotUnavailable,
            WrongLength,
            CalendarInactive,
            StateConflict,
            PreconditionFailed,
        ),
        examples=CHANGE,
    ),
    Route(
        "DELETE",
        "/calendars/events/{eventId}",
        delete_event,
        "calendars/events.write",
        reply=EventGone,
        status=201,
        summary="Delete event",
        description="An appointment or a block slot; of a series, the occurrences that lie ahead."
        " Again, it answers the same.",
        refusals=(NotFound, PreconditionFailed),
    ),
)
