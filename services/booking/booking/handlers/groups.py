"""Commands on groups of calendars."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.calendars import Calendar
from booking.domain.checks import slug_taken
from booking.handlers.calendars import save_settings
from booking.store.calendars import lock_calendars_of_group
from booking.store.crud import groups, upsert_group
from booking.store.locks import lock_bookables
from hoop_events.base import Gone
from hoop_events.calendars import CalendarGroup, CalendarGroupChanged, CalendarGroupDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_group(
    db: Tx, account_id: str, group: CalendarGroup, *, now: datetime
) -> CalendarGroup:
    """Save and announce a new group, unless its slug is taken in its location."""
    return await _save(db, account_id, None, group, now)


async def change_group(
    db: Tx,
    account_id: str,
    group_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    expected: int | None = None,
) -> CalendarGroup:
    """Change name, description or slug; `expected` is the version of `If-Match`."""
    before = await _lock(db, account_id, group_id)
    check_fresh(before.version, expected)
    after = CalendarGroup.model_validate({**before.model_dump(), **changes})
    return before if after == before else await _save(db, account_id, before, after, now)


async def set_group_active(
    db: Tx,
    account_id: str,
    group_id: str,
    active: bool,
    *,
    now: datetime,
    expected: int | None = None,
) -> dict[str, int]:
    """Activate or deactivate the group and all its calendars; returns the raised versions."""
    before = await _lock(db, account_id, group_id)
    check_fresh(before.version, expected)
    after = before.model_copy(update={"is_active": active})
    if after != before:
        await _save(db, account_id, before, after, now)
    raised: dict[str, int] = {}
    for calendar in await _lock_calendars(db, account_id, group_id):
        settings = {**calendar.settings, "isActive": active}
        _, versions = await save_settings(db, calendar, settings, now=now)
        raised |= versions
    return raised


async def delete_group(db: Tx, account_id: str, group_id: str, *, now: datetime) -> dict[str, int]:
    """Delete the group; its calendars stay, without a group. Returns the raised versions."""
    before = await _lock(db, account_id, group_id)
    raised: dict[str, int] = {}
    for calendar in await _lock_calendars(db, account_id, group_id):
        ungrouped = {**calendar.settings, "groupId": None}
        _, versions = await save_settings(db, calendar, ungrouped, now=now)
        raised |= versions
    await groups.delete(db, account_id, group_id)
    gone = Gone(id=group_id, sequence=before.sequence + 1)
    await announce(db, CalendarGroupDeleted(account_id=account_id, state=gone), now=now)
    return raised


async def _lock(db: Tx, account_id: str, group_id: str) -> CalendarGroup:
    found = await groups.get(db, account_id, group_id, lock=True)
    if found is None:
        raise NotFound
    return found


async def _lock_calendars(db: Tx, account_id: str, group_id: str) -> list[Calendar]:
    """Lock the group's calendars, then their hosts, all at once: the order of locks used everywhere."""
    found = await lock_calendars_of_group(db, account_id, group_id)
    hosts = [host for calendar in found for host in calendar.hosts]
    await lock_bookables(
        db, account_id, calendars=[calendar.id for calendar in found], others=hosts
    )
    return found


async def _save(
    db: Tx,
    account_id: str,
    before: CalendarGroup | None,
    after: CalendarGroup,
    now: datetime,
) -> CalendarGroup:
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    if not await upsert_group(db, account_id, after):
        raise slug_taken("group")
    await announce(db, CalendarGroupChanged(account_id=account_id, state=after), now=now)
    return after
