"""The operations on appointments."""

from dataclasses import replace
from typing import Any

from booking.api.models import CreateAppointment, UpdateAppointment
from booking.api.shown import read_token, shown_appointment
from booking.domain.patches import Newcomer, Patch
from booking.handlers import appointments as handlers
from booking.store import appointments as store
from booking.store import known
from hoop_events import Appointment
from shared.auth import location_zone
from shared.errors import NotFound
from shared.http import Call, Reply, Route
from shared.ids import is_id, new_id


async def create_appointment(call: Call) -> Reply:
    body: CreateAppointment = call.body
    await location_zone(call.caller, body.location_id, call.runtime.tables)
    known_id(body.calendar_id)
    newcomer = Newcomer(new_id(), body.contact_id, await _contact_name(call, body.contact_id))
    booked = await handlers.book(
        call.runtime.db,
        call.account_id,
        newcomer,
        _patch(body, call),
        location_id=body.location_id,
        now=call.now,
    )
    return _written(booked)


async def _contact_name(call: Call, contact_id: str) -> str:
    name = await known.contact_name(call.runtime.db, call.account_id, known_id(contact_id))
    if name is None and await call.runtime.catch_up():
        name = await known.contact_name(call.runtime.db, call.account_id, contact_id)
    if name is None:
        raise NotFound
    return name


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
        place=body.meeting_location_type,
        title=body.title,
        description=body.description,
        address=body.address,
        notify=body.to_notify,
        ignore_range=body.ignore_date_range,
        ignore_rules=body.ignore_free_slot_validation,
        actor=call.caller.key_id,
    )


async def get_appointment(call: Call) -> Reply:
    found = await store.appointment(call.runtime.db, call.account_id, call.id("eventId"))
    if found is None:
        raise NotFound
    shown = shown_appointment(found)
    return _reply({"event": shown, "appointment": shown}, version=found.version)


async def update_appointment(call: Call) -> Reply:
    body: UpdateAppointment = call.body
    if body.calendar_id is not None:
        known_id(body.calendar_id)
    changed = await handlers.change(
        call.runtime.db, call.account_id, call.id("eventId"), _patch(body, call), now=call.now
    )
    return _written(changed)


async def delete_event(call: Call) -> Reply:
    """Delete an appointment; the second time answers as the first."""
    event_id = call.id("eventId")
    patch = Patch(delete=True, actor=call.caller.key_id)
    try:
        gone = await handlers.change(
            call.runtime.db, call.account_id, event_id, patch, now=call.now
        )
    except NotFound:
        if not await store.existed(call.runtime.db, call.account_id, event_id):
            raise
        return Reply({"succeeded": True})
    return Reply({"succeeded": True}, headers=read_token(gone.versions))


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
        summary="Create appointment",
    ),
    Route(
        "GET",
        _APPOINTMENT,
        get_appointment,
        "calendars/events.readonly",
        summary="Get appointment",
    ),
    Route(
        "PUT",
        _APPOINTMENT,
        update_appointment,
        "calendars/events.write",
        body=UpdateAppointment,
        summary="Update appointment",
    ),
    Route(
        "DELETE",
        "/calendars/events/{eventId}",
        delete_event,
        "calendars/events.write",
        status=201,
        summary="Delete event",
    ),
)
