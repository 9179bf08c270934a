"""Commands on rooms and equipment."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.checks import check_calendars, check_resource
from booking.store import appointments
from booking.store.calendars import lock_calendars, update_applied
from booking.store.crud import resources
from booking.store.locks import update_versions
from booking.store.resources import delete_from_sessions
from hoop_events.base import Change, Gone
from hoop_events.booking import Appointment, AppointmentUpdated
from hoop_events.calendars import Resource, ResourceChanged, ResourceDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_resource(
    db: Tx, account_id: str, resource: Resource, *, now: datetime
) -> Resource:
    """Save and announce a room or a piece of equipment, which its calendars need from now on."""
    return await _save(db, account_id, None, resource, now)


async def change_resource(
    db: Tx,
    account_id: str,
    resource_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    expected: int | None = None,
) -> Resource:
    """Change the sent fields; what is booked stays booked."""
    before = await _lock(db, account_id, resource_id)
    check_fresh(before.version, expected)
    after = Resource.model_validate({**before.model_dump(), **changes})
    return before if after == before else await _save(db, account_id, before, after, now)


async def delete_resource(
    db: Tx, account_id: str, resource_id: str, *, now: datetime
) -> dict[str, int]:
    """Delete the resource; appointments keep their time without it. Returns the raised versions."""
    before = await _lock(db, account_id, resource_id)
    await lock_calendars(db, account_id, before.calendar_ids)
    versions = await update_versions(
        db, account_id, calendars=before.calendar_ids, others=[resource_id]
    )
    await resources.delete(db, account_id, resource_id)
    await update_applied(db, account_id, before.calendar_ids)
    gone = Gone(id=resource_id, sequence=before.sequence + 1, versions=versions)
    await announce(db, ResourceDeleted(account_id=account_id, state=gone), now=now)
    for session in await delete_from_sessions(db, account_id, resource_id, now=now):
        states = await appointments.lock_session_appointments(db, account_id, session)
        events = [_without_resource(account_id, before, resource_id) for before in states]
        await appointments.update_states(db, account_id, events, now=now)
    return versions


def _without_resource(account_id: str, before: Appointment, resource_id: str) -> AppointmentUpdated:
    """The event that announces the appointment without the resource."""
    left = tuple(one for one in before.resources if one != resource_id)
    after = before.model_copy(update={"resources": left, "sequence": before.sequence + 1})
    change = Change(
        fields=("resources",),
        previous={"resources": [*before.resources]},
        reason="resource_deleted",
    )
    return AppointmentUpdated(account_id=account_id, state=after, change=change)


async def remove_calendar(
    db: Tx, account_id: str, resource_id: str, calendar_id: str, *, now: datetime
) -> None:
    """Remove a calendar from those that need the resource."""
    before = await _lock(db, account_id, resource_id)
    left = tuple(one for one in before.calendar_ids if one != calendar_id)
    if left != before.calendar_ids:
        after = before.model_copy(update={"calendar_ids": left})
        await _save(db, account_id, before, after, now)


async def _lock(db: Tx, account_id: str, resource_id: str) -> Resource:
    found = await resources.get(db, account_id, resource_id, lock=True)
    if found is None:
        raise NotFound
    return found


async def _save(
    db: Tx, account_id: str, before: Resource | None, after: Resource, now: datetime
) -> Resource:
    before_ids = before.calendar_ids if before else ()
    calendar_ids = {*after.calendar_ids, *before_ids}
    found = await lock_calendars(db, account_id, calendar_ids)
    check_calendars(after.calendar_ids, found, after.location_id, before=before_ids)
    check_resource(after, [c for c in found if c.id in after.calendar_ids])
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    versions = await update_versions(db, account_id, calendars=calendar_ids, others=[after.id])
    after = after.model_copy(update={"versions": versions})
    await resources.upsert(db, account_id, after, after.calendar_ids)
    await update_applied(db, account_id, calendar_ids)
    await announce(db, ResourceChanged(account_id=account_id, state=after), now=now)
    return after
