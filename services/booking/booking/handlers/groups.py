"""Commands on groups of calendars. Switching a group off switches its calendars off."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.calendars import Calendar
from booking.domain.documents import slug_taken
from booking.handlers.calendars import resettle
from booking.store.calendars import calendars_of_group
from booking.store.documents import groups, save_group
from booking.store.versions import lock
from hoop_events.base import Gone
from hoop_events.calendars import CalendarGroup, CalendarGroupChanged, CalendarGroupDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_group(
    db: Tx, account_id: str, group: CalendarGroup, *, now: datetime
) -> CalendarGroup:
    """Save and announce a new group, unless its slug is taken in its location."""
    return await _keep(db, account_id, None, group, now)


async def change_group(
    db: Tx,
    account_id: str,
    group_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    expected: int | None = None,
) -> CalendarGroup:
    """Change its name, description or slug; `expected`: only if this is its version."""
    before = await _locked(db, account_id, group_id)
    check_fresh(before.version, expected)
    after = CalendarGroup.model_validate({**before.model_dump(), **changes})
    return before if after == before else await _keep(db, account_id, before, after, now)


async def set_group_active(
    db: Tx,
    account_id: str,
    group_id: str,
    active: bool,
    *,
    now: datetime,
    expected: int | None = None,
) -> dict[str, int]:
    """Switch the group, and every one of its calendars that is not so already; what this raised."""
    before = await _locked(db, account_id, group_id)
    check_fresh(before.version, expected)
    after = before.model_copy(update={"is_active": active})
    if after != before:
        await _keep(db, account_id, before, after, now)
    raised: dict[str, int] = {}
    for calendar in await _calendars(db, account_id, group_id):
        settings = {**calendar.settings, "isActive": active}
        _, versions = await resettle(db, calendar, settings, now=now)
        raised |= versions
    return raised


async def delete_group(db: Tx, account_id: str, group_id: str, *, now: datetime) -> dict[str, int]:
    """Delete the group; its calendars stay, in none. The versions that this has raised."""
    before = await _locked(db, account_id, group_id)
    raised: dict[str, int] = {}
    for calendar in await _calendars(db, account_id, group_id):
        alone = {name: said for name, said in calendar.settings.items() if name != "groupId"}
        _, versions = await resettle(db, calendar, alone, now=now)
        raised |= versions
    await groups.delete(db, account_id, group_id)
    gone = Gone(id=group_id, sequence=before.sequence + 1)
    await announce(db, CalendarGroupDeleted(account_id=account_id, state=gone), now=now)
    return raised


async def _locked(db: Tx, account_id: str, group_id: str) -> CalendarGroup:
    found = await groups.read(db, account_id, group_id, lock=True)
    if found is None:
        raise NotFound
    return found


async def _calendars(db: Tx, account_id: str, group_id: str) -> list[Calendar]:
    """Its calendars, locked with their hosts all at once: one by one would be another order."""
    found = await calendars_of_group(db, account_id, group_id)
    hosts = [host for calendar in found for host in calendar.hosts]
    await lock(db, account_id, calendars=[calendar.id for calendar in found], others=hosts)
    return found


async def _keep(
    db: Tx,
    account_id: str,
    before: CalendarGroup | None,
    after: CalendarGroup,
    now: datetime,
) -> CalendarGroup:
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    if not await save_group(db, account_id, after):
        raise slug_taken("group")
    await announce(db, CalendarGroupChanged(account_id=account_id, state=after), now=now)
    return after
