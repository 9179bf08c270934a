"""Commands on schedules, and with which calendars they are associated."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.checks import check_calendars
from booking.domain.opening_hours import valid_schedule
from booking.store.calendars import lock_calendars, update_applied
from booking.store.crud import schedules
from booking.store.locks import update_versions
from hoop_events.base import Gone
from hoop_events.calendars import Schedule, ScheduleChanged, ScheduleDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_schedule(
    db: Tx, account_id: str, schedule: Schedule, *, now: datetime
) -> Schedule:
    """Save and announce a new schedule, which applies at once to the calendars it names."""
    return await _save(db, account_id, None, schedule, now)


async def change_schedule(
    db: Tx,
    account_id: str,
    schedule_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    expected: int | None = None,
) -> Schedule:
    """Change the sent fields; nothing is announced when nothing differs."""
    before = await _lock(db, account_id, schedule_id)
    check_fresh(before.version, expected)
    after = valid_schedule(Schedule.model_validate({**before.model_dump(), **changes}))
    return before if after == before else await _save(db, account_id, before, after, now)


async def associate(
    db: Tx, account_id: str, schedule_id: str, calendar_id: str, *, now: datetime
) -> Schedule:
    """Apply the schedule to this calendar; nothing happens where it applies already."""
    before = await _lock(db, account_id, schedule_id)
    ids = (*(c for c in before.calendar_ids if c != calendar_id), calendar_id)
    if len(ids) == len(before.calendar_ids):
        return before
    after = before.model_copy(update={"calendar_ids": ids})
    return await _save(db, account_id, before, after, now)


async def dissociate(
    db: Tx, account_id: str, schedule_id: str, calendar_id: str, *, now: datetime
) -> Schedule:
    """Remove the schedule from this calendar; nothing happens where it does not apply."""
    before = await _lock(db, account_id, schedule_id)
    ids = tuple(c for c in before.calendar_ids if c != calendar_id)
    if ids == before.calendar_ids:
        return before
    after = before.model_copy(update={"calendar_ids": ids})
    return await _save(db, account_id, before, after, now)


async def delete_schedule(
    db: Tx, account_id: str, schedule_id: str, *, now: datetime
) -> dict[str, int]:
    """Delete the schedule; its calendars use their own open hours. Returns the raised versions."""
    before = await _lock(db, account_id, schedule_id)
    await lock_calendars(db, account_id, before.calendar_ids)
    versions = await update_versions(db, account_id, calendars=before.calendar_ids)
    await schedules.delete(db, account_id, schedule_id)
    await update_applied(db, account_id, before.calendar_ids)
    gone = Gone(id=schedule_id, sequence=before.sequence + 1, versions=versions)
    await announce(db, ScheduleDeleted(account_id=account_id, state=gone), now=now)
    return versions


async def _lock(db: Tx, account_id: str, schedule_id: str) -> Schedule:
    found = await schedules.get(db, account_id, schedule_id, lock=True)
    if found is None:
        raise NotFound("id")
    return found


async def _save(
    db: Tx, account_id: str, before: Schedule | None, after: Schedule, now: datetime
) -> Schedule:
    """Save and announce, with the old and the new calendars locked against bookings meanwhile."""
    after = valid_schedule(after)
    calendar_ids = {*after.calendar_ids, *(before.calendar_ids if before else ())}
    found = await lock_calendars(db, account_id, calendar_ids)
    before_ids = before.calendar_ids if before else ()
    check_calendars(after.calendar_ids, found, after.location_id, before=before_ids)
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    versions = await update_versions(db, account_id, calendars=calendar_ids)
    after = after.model_copy(update={"versions": versions})
    await schedules.upsert(db, account_id, after, after.calendar_ids)
    await update_applied(db, account_id, calendar_ids)
    await announce(db, ScheduleChanged(account_id=account_id, state=after), now=now)
    return after
