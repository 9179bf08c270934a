"""The operations on block slots: times at which a calendar, a user or a resource takes nothing."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from booking.api.documents import Kept, begun, found, known_ids, sent, written
from booking.api.people import check_users
from booking.api.shown import local_time
from booking.domain.documents import check_immutable
from booking.handlers import blocks as handlers
from booking.store.documents import blocks
from hoop_events.base import Personal
from hoop_events.calendars import BlockSlot
from hoop_platform.auth import location_zone
from hoop_platform.errors import LocationForbidden, NotFound
from hoop_platform.http.parse import Body, Instant, OneLine
from hoop_platform.http.route import Call, Reply, Route

TARGETS = {
    "calendar_id": "calendar_id",
    "assigned_user_id": "user_id",
    "resource_id": "resource_id",
}
"""What a body may name → what it is called in our events. Exactly one is blocked."""


class _Block(Body):
    calendar_id: str | None = Field(None, description="A calendar of any type.")
    assigned_user_id: str | None = Field(None, description="A user, in all calendars.")
    resource_id: str | None = Field(None, description="A room or equipment, for all calendars.")


class CreateBlock(_Block):
    """One of `calendarId`, `assignedUserId` and `resourceId` says what is blocked."""

    location_id: str
    start_time: Instant
    end_time: Instant
    title: OneLine = ""


class UpdateBlock(_Block):
    """A patch. Whoever names what is blocked replaces what was blocked before."""

    location_id: str | None = Field(None, description="If sent, what it is already.")
    start_time: Instant | None = None
    end_time: Instant | None = None
    title: OneLine | None = None


class BlockShown(Kept):
    location_id: str
    title: str
    start_time: str
    end_time: str
    calendar_id: str | None = None
    assigned_user_id: str | None = None
    resource_id: str | None = None


async def create_block(call: Call) -> Reply:
    body: CreateBlock = call.body
    zone = await location_zone(call.caller, body.location_id, call.runtime.tables)
    said = await _said(call, body)
    block = BlockSlot.model_validate(
        {"calendar_id": None, "user_id": None, **begun(call), **said}
        | {"location_id": body.location_id}
    )
    async with call.runtime.db.transaction() as db:
        block = await handlers.create_block(db, call.account_id, block, now=call.now)
    return _written(block, zone)


async def update_block(call: Call) -> Reply:
    body: UpdateBlock = call.body
    before: BlockSlot = await found(call, blocks, "eventId")
    zone = await location_zone(call.caller, before.location_id, call.runtime.tables)
    if body.location_id is not None:
        await location_zone(call.caller, body.location_id, call.runtime.tables)
    check_immutable("locationId", before.location_id, body.location_id)
    changes = await _said(call, body)
    async with call.runtime.db.transaction() as db:
        block = await handlers.change_block(
            db, call.account_id, before.id, changes, now=call.now, expected=call.if_match
        )
    return _written(block, zone)


async def _said(call: Call, body: CreateBlock | UpdateBlock) -> dict[str, Any]:
    """What the body says, in our names; the users and ids that it names are looked at."""
    said = {name: value for name, value in sent(body).items() if value is not None}
    if user := said.get("assigned_user_id"):
        await check_users(call, {"assignedUserId": user})
    known_ids([said[name] for name in ("calendar_id", "resource_id") if name in said])
    if "title" in said:
        said["personal"] = Personal(title=said.pop("title"))
    return {**_target(said), **{n: v for n, v in said.items() if n not in TARGETS}}


def _target(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is named is all that is blocked; nothing, when nothing is named."""
    if not said.keys() & TARGETS.keys():
        return {}
    return {ours: said.get(theirs) for theirs, ours in TARGETS.items()}


def shown(block: BlockSlot, zone: str) -> dict[str, Any]:
    """The block slot of the API; times with the offset of its location, whose zone this is."""
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


def _written(block: BlockSlot, zone: str) -> Reply:
    return written(shown(block, zone), block.version, block.versions)


WRITE = "calendars/events.write"
ROUTES = (
    Route(
        "POST",
        "/calendars/events/block-slots",
        create_block,
        WRITE,
        body=CreateBlock,
        reply=BlockShown,
        status=201,
        summary="Create block slot",
        refusals=(LocationForbidden, NotFound),
    ),
    Route(
        "PUT",
        "/calendars/events/block-slots/{eventId}",
        update_block,
        WRITE,
        body=UpdateBlock,
        reply=BlockShown,
        status=201,
        summary="Update block slot",
        refusals=(LocationForbidden, NotFound),
    ),
)
