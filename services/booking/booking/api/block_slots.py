"""The operations on block slots: times in which a calendar, a user or a resource takes nothing."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from booking.api.crud import find, initial_fields, sent_fields, versioned_reply
from booking.api.presenters import local_time
from booking.api.schemas.shared import VersionedResponse
from booking.api.validation import check_users, known_id
from booking.domain.checks import check_immutable
from booking.handlers import block_slots as handlers
from booking.store.crud import block_slots
from hoop_events.base import Personal
from hoop_events.calendars import BlockSlot
from hoop_platform.auth import location_zone
from hoop_platform.errors import LocationForbidden, NotFound
from hoop_platform.http.parse import Body, Instant, OneLine
from hoop_platform.http.route import AnyCall, Call, Reply, Route

TARGETS = {
    "calendar_id": "calendar_id",
    "assigned_user_id": "user_id",
    "resource_id": "resource_id",
}
"""A target's field in the body → its field in the event. Exactly one is blocked."""


class _BlockSlotTarget(Body):
    calendar_id: str | None = Field(None, description="A calendar of any type.")
    assigned_user_id: str | None = Field(None, description="A user, in all calendars.")
    resource_id: str | None = Field(None, description="A room or equipment, for all calendars.")


class CreateBlockSlot(_BlockSlotTarget):
    """Exactly one of `calendarId`, `assignedUserId` and `resourceId` names what is blocked."""

    location_id: str
    start_time: Instant
    end_time: Instant
    title: OneLine = ""


class UpdateBlockSlot(_BlockSlotTarget):
    """A patch. A target that is sent replaces the present one."""

    location_id: str | None = Field(None, description="Only the present value.")
    start_time: Instant | None = None
    end_time: Instant | None = None
    title: OneLine | None = None


class BlockSlotResponse(VersionedResponse):
    location_id: str
    title: str
    start_time: str
    end_time: str
    calendar_id: str | None = None
    assigned_user_id: str | None = None
    resource_id: str | None = None


async def create_block_slot(call: Call[CreateBlockSlot]) -> Reply:
    body = call.body
    zone = await location_zone(call.caller, body.location_id, call.runtime.tables)
    fields = await _event_fields(call, body)
    block = BlockSlot.model_validate(
        {"calendar_id": None, "user_id": None, **initial_fields(call), **fields}
        | {"location_id": body.location_id}
    )
    async with call.runtime.db.transaction() as db:
        block = await handlers.create_block_slot(
            db, call.account_id, block, now=call.now, zone=zone
        )
    return _reply(block, zone)


async def update_block_slot(call: Call[UpdateBlockSlot]) -> Reply:
    body = call.body
    before = await find(call, block_slots, "eventId")
    zone = await location_zone(call.caller, before.location_id, call.runtime.tables)
    if body.location_id is not None:
        await location_zone(call.caller, body.location_id, call.runtime.tables)
    check_immutable("locationId", before.location_id, body.location_id)
    changes = await _event_fields(call, body)
    async with call.runtime.db.transaction() as db:
        block = await handlers.change_block_slot(
            db,
            call.account_id,
            before.id,
            changes,
            now=call.now,
            zone=zone,
            expected=call.if_match,
        )
    return _reply(block, zone)


async def _event_fields(call: AnyCall, body: CreateBlockSlot | UpdateBlockSlot) -> dict[str, Any]:
    """The sent fields under their names in the event; refuses unknown users and invalid ids."""
    sent = {name: value for name, value in sent_fields(body).items() if value is not None}
    if user := sent.get("assigned_user_id"):
        await check_users(call, {"assignedUserId": user})
    for name, path in (("calendar_id", "calendarId"), ("resource_id", "resourceId")):
        if name in sent:
            known_id(sent[name], path)
    if "title" in sent:
        sent["personal"] = Personal(title=sent.pop("title"))
    return {**_target(sent), **{n: v for n, v in sent.items() if n not in TARGETS}}


def _target(sent: Mapping[str, Any]) -> dict[str, Any]:
    """All three target fields, two of them None; empty when no target is sent."""
    if not sent.keys() & TARGETS.keys():
        return {}
    return {event_name: sent.get(name) for name, event_name in TARGETS.items()}


def present_block_slot(block: BlockSlot, zone: str) -> dict[str, Any]:
    """The block slot object of the API; times with the offset of `zone`, its location's."""
    state = block.model_dump(
        mode="json",
        by_alias=True,
        include={"id", "location_id", "version", "date_added", "date_updated"},
    )
    targets = {
        "calendarId": block.calendar_id,
        "assignedUserId": block.user_id,
        "resourceId": block.resource_id,
    }
    return {
        **state,
        **{name: target for name, target in targets.items() if target is not None},
        "title": block.personal.title,
        "startTime": local_time(block.start_time, zone),
        "endTime": local_time(block.end_time, zone),
    }


def _reply(block: BlockSlot, zone: str) -> Reply:
    return versioned_reply(present_block_slot(block, zone), block.version, block.versions)


WRITE = "calendars/events.write"
ROUTES = (
    Route(
        "POST",
        "/calendars/events/block-slots",
        create_block_slot,
        WRITE,
        body=CreateBlockSlot,
        reply=BlockSlotResponse,
        status=201,
        summary="Create block slot",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "PUT",
        "/calendars/events/block-slots/{eventId}",
        update_block_slot,
        WRITE,
        body=UpdateBlockSlot,
        reply=BlockSlotResponse,
        status=201,
        summary="Update block slot",
        refusals=(LocationForbidden, NotFound),
    ),
)
