"""Commands on schedules, and with which calendars they are associated."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.documents import check_calendars, check_schedule
from booking.store.calendars import lock_calendars, reapply
from booking.store.documents import schedules
from booking.store.versions import touch
from hoop_events.base import Gone
from hoop_events.calendars import Schedule, ScheduleChanged, ScheduleDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_schedule(
    db: Tx, account_id: str, schedule: Schedule, *, now: datetime
) -> Schedule:
    """Save and announce a new schedule; it counts at once on the calendars it names."""
    return await _keep(db, account_id, None, schedule, now)


async def change_schedule(
    db: Tx,
    account_id: str,
    schedule_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    expected: int | None = None,
) -> Schedule:
    """Change the fields that were sent; nothing different, nothing announced."""
    before = await _locked(db, account_id, schedule_id)
    check_fresh(before.version, expected)
    after = Schedule.model_validate({**before.model_dump(), **changes})
    return before if after == before else await _keep(db, account_id, before, after, now)


async def associate(
    db: Tx, account_id: str, schedule_id: str, calendar_id: str, *, now: datetime
) -> Schedule:
    """From now on the schedule counts on this calendar as well; where it does, nothing happens."""
    before = await _locked(db, account_id, schedule_id)
    ids = (*(c for c in before.calendar_ids if c != calendar_id), calendar_id)
    if len(ids) == len(before.calendar_ids):
        return before
    after = before.model_copy(update={"calendar_ids": ids})
    return await _keep(db, account_id, before, after, now)


async def dissociate(
    db: Tx, account_id: str, schedule_id: str, calendar_id: str, *, now: datetime
) -> Schedule:
    """The schedule counts on this calendar no more; where it did not, nothing happens."""
    before = await _locked(db, account_id, schedule_id)
    ids = tuple(c for c in before.calendar_ids if c != calendar_id)
    if ids == before.calendar_ids:
        return before
    after = before.model_copy(update={"calendar_ids": ids})
    return await _keep(db, account_id, before, after, now)


async def delete_schedule(
    db: Tx, account_id: str, schedule_id: str, *, now: datetime
) -> dict[str, int]:
    """Delete it; its calendars are open again as they say themselves. What this has raised."""
    before = await _locked(db, account_id, schedule_id)
    await lock_calendars(db, account_id, before.calendar_ids)
    versions = await touch(db, account_id, calendars=before.calendar_ids)
    await schedules.delete(db, account_id, schedule_id)
    await reapply(db, account_id, before.calendar_ids)
    gone = Gone(id=schedule_id, sequence=before.sequence + 1, versions=versions)
    await announce(db, ScheduleDeleted(account_id=account_id, state=gone), now=now)
    return versions


async def _locked(db: Tx, account_id: str, schedule_id: str) -> Schedule:
    found = await schedules.read(db, account_id, schedule_id, lock=True)
    if found is None:
        raise NotFound
    return found


async def _keep(
    db: Tx, account_id: str, before: Schedule | None, after: Schedule, now: datetime
) -> Schedule:
    """Lock the calendars it concerns and concerned; then nobody books by what was."""
    check_schedule(after)
    concerned = {*after.calendar_ids, *(before.calendar_ids if before else ())}
    found = await lock_calendars(db, account_id, concerned)
    fresh = {*after.calendar_ids}.difference(before.calendar_ids if before else ())
    check_calendars(fresh, found, after.location_id)
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    versions = await touch(db, account_id, calendars=concerned)
    after = after.model_copy(update={"versions": versions})
    await schedules.save(db, account_id, after, after.calendar_ids)
    await reapply(db, account_id, concerned)
    await announce(db, ScheduleChanged(account_id=account_id, state=after), now=now)
    return after
