"""Commands on block slots: times at which a calendar, a user or a resource takes nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.calendars import Calendar
from booking.domain.checks import check_block, check_location
from booking.store.calendars import get_calendar
from booking.store.crud import block_slots, resources, upsert_block_slot
from booking.store.locks import update_versions
from hoop_events.base import Gone
from hoop_events.calendars import BlockSlot, BlockSlotChanged, BlockSlotDeleted, Resource
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_block_slot(
    db: Tx, account_id: str, block: BlockSlot, *, now: datetime, zone: str = "UTC"
) -> BlockSlot:
    """Save and announce a new block slot; what is booked in its time stays booked.

    `zone` is that of its location.
    """
    check_block(block, zone)
    return await _save(db, account_id, None, block, now)


async def change_block_slot(
    db: Tx,
    account_id: str,
    block_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    zone: str = "UTC",
    expected: int | None = None,
) -> BlockSlot:
    """Change the sent fields: time, target, title; `expected` is the version of `If-Match`."""
    before = await _lock(db, account_id, block_id)
    check_fresh(before.version, expected)
    after = BlockSlot.model_validate({**before.model_dump(), **changes})
    if after == before:
        return before
    check_block(after, zone)
    return await _save(db, account_id, before, after, now)


async def delete_block_slot(
    db: Tx, account_id: str, block_id: str, *, now: datetime
) -> dict[str, int]:
    """Delete and announce; the time can be booked again. Returns the raised versions."""
    before = await _lock(db, account_id, block_id)
    versions = await _update_versions(db, account_id, before)
    await block_slots.delete(db, account_id, block_id)
    gone = Gone(id=block_id, sequence=before.sequence + 1, versions=versions)
    await announce(db, BlockSlotDeleted(account_id=account_id, state=gone), now=now)
    return versions


async def delete_block_slot_if_any(
    db: Tx, account_id: str, block_id: str, *, now: datetime
) -> dict[str, int] | None:
    """Delete the block slot if it exists; returns raised versions, or None if there never was one."""
    if await block_slots.get(db, account_id, block_id, lock=True) is not None:
        return await delete_block_slot(db, account_id, block_id, now=now)
    return None if await block_slots.get_location(db, account_id, block_id) is None else {}


async def _lock(db: Tx, account_id: str, block_id: str) -> BlockSlot:
    found = await block_slots.get(db, account_id, block_id, lock=True)
    if found is None:
        raise NotFound
    return found


async def _save(
    db: Tx, account_id: str, before: BlockSlot | None, after: BlockSlot, now: datetime
) -> BlockSlot:
    await _check_target(db, account_id, after)
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    versions = await _update_versions(db, account_id, after, *([before] if before else ()))
    after = after.model_copy(update={"versions": versions})
    await upsert_block_slot(db, account_id, after)
    await announce(db, BlockSlotChanged(account_id=account_id, state=after), now=now)
    return after


async def _check_target(db: Tx, account_id: str, block: BlockSlot) -> None:
    """Refuse a calendar or resource of another location; users are checked by the API."""
    found: Calendar | Resource | None
    if block.calendar_id:
        found = await get_calendar(db, account_id, block.calendar_id)
        path = "calendarId"
    elif block.resource_id:
        found = await resources.get(db, account_id, block.resource_id)
        path = "resourceId"
    else:
        return
    if found is None:
        raise NotFound(path)
    check_location(path, found.location_id, block.location_id)


async def _update_versions(db: Tx, account_id: str, *slots: BlockSlot) -> dict[str, int]:
    calendars = {block.calendar_id for block in slots if block.calendar_id is not None}
    others = {block.blocks for block in slots} - calendars
    return await update_versions(db, account_id, calendars=calendars, others=others)
