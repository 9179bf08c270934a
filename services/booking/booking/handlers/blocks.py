"""Commands on block slots: times at which a calendar, a user or a resource takes nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.calendars import Calendar
from booking.domain.documents import check_block, check_location
from booking.store.calendars import calendar
from booking.store.documents import blocks, resources, save_block
from booking.store.versions import touch
from hoop_events.base import Gone
from hoop_events.calendars import BlockSlot, BlockSlotChanged, BlockSlotDeleted, Resource
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_block(db: Tx, account_id: str, block: BlockSlot, *, now: datetime) -> BlockSlot:
    """Block that time from now on; what is booked there stays booked."""
    return await _keep(db, account_id, None, block, now)


async def change_block(
    db: Tx,
    account_id: str,
    block_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    expected: int | None = None,
) -> BlockSlot:
    """Change the fields that were sent: another time, another target, another title."""
    before = await _locked(db, account_id, block_id)
    check_fresh(before.version, expected)
    after = BlockSlot.model_validate({**before.model_dump(), **changes})
    return before if after == before else await _keep(db, account_id, before, after, now)


async def delete_block(db: Tx, account_id: str, block_id: str, *, now: datetime) -> dict[str, int]:
    """The time can be booked again; the versions that this has raised."""
    before = await _locked(db, account_id, block_id)
    versions = await _touch(db, account_id, before)
    await blocks.delete(db, account_id, block_id)
    gone = Gone(id=block_id, sequence=before.sequence + 1, versions=versions)
    await announce(db, BlockSlotDeleted(account_id=account_id, state=gone), now=now)
    return versions


async def delete_block_if_any(
    db: Tx, account_id: str, block_id: str, *, now: datetime
) -> dict[str, int] | None:
    """Delete the block slot of this id; nothing happens the second time. None: there never was one."""
    if await blocks.read(db, account_id, block_id, lock=True) is not None:
        return await delete_block(db, account_id, block_id, now=now)
    return None if await blocks.location(db, account_id, block_id) is None else {}


async def _locked(db: Tx, account_id: str, block_id: str) -> BlockSlot:
    found = await blocks.read(db, account_id, block_id, lock=True)
    if found is None:
        raise NotFound
    return found


async def _keep(
    db: Tx, account_id: str, before: BlockSlot | None, after: BlockSlot, now: datetime
) -> BlockSlot:
    check_block(after)
    await _check_target(db, account_id, after)
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    versions = await _touch(db, account_id, after, *([before] if before else ()))
    after = after.model_copy(update={"versions": versions})
    await save_block(db, account_id, after)
    await announce(db, BlockSlotChanged(account_id=account_id, state=after), now=now)
    return after


async def _check_target(db: Tx, account_id: str, block: BlockSlot) -> None:
    """The calendar or the resource stands in the block's location; users are checked at the edge."""
    found: Calendar | Resource | None
    if block.calendar_id:
        found = await calendar(db, account_id, block.calendar_id)
        path = "calendarId"
    elif block.resource_id:
        found = await resources.read(db, account_id, block.resource_id)
        path = "resourceId"
    else:
        return
    if found is None:
        raise NotFound
    check_location(path, found.location_id, block.location_id)


async def _touch(db: Tx, account_id: str, *concerned: BlockSlot) -> dict[str, int]:
    calendars = {block.calendar_id for block in concerned if block.calendar_id is not None}
    others = {block.blocks for block in concerned} - calendars
    return await touch(db, account_id, calendars=calendars, others=others)
