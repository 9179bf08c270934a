"""Commands on rooms and equipment."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from booking.domain.documents import check_calendars, check_resource
from booking.store import appointments
from booking.store.calendars import lock_calendars, reapply
from booking.store.documents import resources
from booking.store.vacating import vacate
from booking.store.versions import touch
from hoop_events.base import Change, Gone
from hoop_events.booking import Appointment, AppointmentUpdated
from hoop_events.calendars import Resource, ResourceChanged, ResourceDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import NotFound, check_fresh
from hoop_platform.outbox.announce import announce


async def create_resource(
    db: Tx, account_id: str, resource: Resource, *, now: datetime
) -> Resource:
    """Save and announce a room or a piece of equipment; its calendars need it from now on."""
    return await _keep(db, account_id, None, resource, now)


async def change_resource(
    db: Tx,
    account_id: str,
    resource_id: str,
    changes: Mapping[str, Any],
    *,
    now: datetime,
    expected: int | None = None,
) -> Resource:
    """Change the fields that were sent. What is booked already stays booked."""
    before = await _locked(db, account_id, resource_id)
    check_fresh(before.version, expected)
    after = Resource.model_validate({**before.model_dump(), **changes})
    return before if after == before else await _keep(db, account_id, before, after, now)


async def delete_resource(
    db: Tx, account_id: str, resource_id: str, *, now: datetime
) -> dict[str, int]:
    """Delete it: what is booked there keeps its time, without it. The versions that this has raised."""
    before = await _locked(db, account_id, resource_id)
    await lock_calendars(db, account_id, before.calendar_ids)
    versions = await touch(db, account_id, calendars=before.calendar_ids, others=[resource_id])
    await resources.delete(db, account_id, resource_id)
    await reapply(db, account_id, before.calendar_ids)
    gone = Gone(id=resource_id, sequence=before.sequence + 1, versions=versions)
    await announce(db, ResourceDeleted(account_id=account_id, state=gone), now=now)
    for session in await vacate(db, account_id, resource_id, now=now):
        for appointment in await appointments.seated(db, account_id, session):
            await _without(db, account_id, appointment, resource_id, now)
    return versions


async def _without(
    db: Tx, account_id: str, before: Appointment, resource_id: str, now: datetime
) -> None:
    """The appointment does without it from now on, and everybody is told."""
    left = tuple(one for one in before.resources if one != resource_id)
    after = before.model_copy(update={"resources": left, "sequence": before.sequence + 1})
    change = Change(
        fields=("resources",),
        previous={"resources": [*before.resources]},
        reason="resource_deleted",
    )
    await appointments.resave(db, account_id, after)
    told = AppointmentUpdated(account_id=account_id, state=after, change=change)
    await announce(db, told, now=now)


async def withdraw(
    db: Tx, account_id: str, resource_id: str, calendar_id: str, *, now: datetime
) -> None:
    """Take a calendar out of those that need it."""
    before = await _locked(db, account_id, resource_id)
    left = tuple(one for one in before.calendar_ids if one != calendar_id)
    if left != before.calendar_ids:
        after = before.model_copy(update={"calendar_ids": left})
        await _keep(db, account_id, before, after, now)


async def _locked(db: Tx, account_id: str, resource_id: str) -> Resource:
    found = await resources.read(db, account_id, resource_id, lock=True)
    if found is None:
        raise NotFound
    return found


async def _keep(
    db: Tx, account_id: str, before: Resource | None, after: Resource, now: datetime
) -> Resource:
    had = before.calendar_ids if before else ()
    concerned = {*after.calendar_ids, *had}
    found = await lock_calendars(db, account_id, concerned)
    fresh = {*after.calendar_ids}.difference(had)
    check_calendars(fresh, found, after.location_id)
    check_resource(after, [c for c in found if c.id in after.calendar_ids])
    if before is not None:
        raised = {"version": before.version + 1, "sequence": before.sequence + 1}
        after = after.model_copy(update={**raised, "date_updated": now})
    versions = await touch(db, account_id, calendars=concerned, others=[after.id])
    after = after.model_copy(update={"versions": versions})
    await resources.save(db, account_id, after, after.calendar_ids)
    await reapply(db, account_id, concerned)
    await announce(db, ResourceChanged(account_id=account_id, state=after), now=now)
    return after
