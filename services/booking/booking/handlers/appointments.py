"""Commands on appointments: read without locks, decide, write down if nothing changed meanwhile."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from booking.domain import appointments as domain
from booking.domain.appointments import Decision, Newcomer, Patch
from booking.domain.placing import Basis
from booking.store import appointments as store
from booking.store.basis import basis
from hoop_events import Appointment
from shared.db import CONTENTION, Connection, Database
from shared.errors import NotFound, Unavailable, invalid
from shared.failpoints import fp
from shared.ids import new_id

Decide = Callable[[Connection | Database], Awaitable[Decision | None]]

OPTIMISTIC_TRIES = 3
LOCKED_TRIES = 5


async def book(
    database: Database,
    account_id: str,
    newcomer: Newcomer,
    patch: Patch,
    *,
    location_id: str,
    now: datetime,
) -> Appointment:
    """Book the wanted time on a calendar of this location, or raise the reason why not."""
    assert patch.calendar_id is not None
    calendar_id = patch.calendar_id

    async def decide(db: Connection | Database) -> Decision:
        known = await _basis(db, account_id, calendar_id, patch, before=None)
        if known.calendar.location_id != location_id:
            raise invalid("locationId", "other_location", "the calendar stands in another location")
        return domain.book(known, newcomer, patch, session_id=new_id(), now=now)

    booked = await settled(database, account_id, decide)
    assert booked is not None
    await fp("booked")
    return booked


async def change(
    database: Database, account_id: str, appointment_id: str, patch: Patch, *, now: datetime
) -> Appointment:
    """Move, cancel, confirm, edit or delete an appointment; answers what it is then."""
    unchanged: list[Appointment] = []

    async def decide(db: Connection | Database) -> Decision | None:
        before = await store.appointment(db, account_id, appointment_id)
        if before is None:
            raise NotFound
        unchanged[:] = [before]
        calendar_id = patch.calendar_id or before.calendar_id
        known = await _basis(db, account_id, calendar_id, patch, before=before)
        return domain.change(before, known, patch, session_id=new_id(), now=now)

    return await settled(database, account_id, decide) or unchanged[0]


async def _basis(
    db: Connection | Database,
    account_id: str,
    calendar_id: str,
    patch: Patch,
    *,
    before: Appointment | None,
) -> Basis:
    start = patch.start or (before.start_time if before else None)
    if start is None:
        raise NotFound
    end = patch.end or before.end_time if before else patch.end
    known = await basis(
        db,
        account_id,
        calendar_id,
        start=start,
        end=max(end or start, start),
        before=before,
    )
    if known is None:
        raise NotFound
    return known


async def settled(database: Database, account_id: str, decide: Decide) -> Appointment | None:
    """Decide on what is read and write it down; when it has changed meanwhile, again.

    After three tries the hosts are locked first, so that somebody always gets through.
    """
    for _ in range(OPTIMISTIC_TRIES):
        decision = await decide(database)
        if decision is None:
            return None
        if (after := await _written(database, decision)) is not None:
            database.woken()
            return after
    for _ in range(LOCKED_TRIES):
        if (after := await _under_locks(database, account_id, decide)) is not None:
            return after
    raise Unavailable(headers={"Retry-After": "1"})


async def _written(db: Connection | Database, decision: Decision) -> Appointment | None:
    try:
        return await store.settle(db, decision)
    except CONTENTION:
        return None


async def _under_locks(database: Database, account_id: str, decide: Decide) -> Appointment | None:
    first = await decide(database)
    if first is None:
        return first
    try:
        async with database.transaction() as db:
            locked = {*first.hosts, *first.basis.calendar.hosts}
            await store.lock_hosts(db, account_id, [first.basis.calendar.id])
            await store.lock_hosts(db, account_id, sorted(locked))
            decision = await decide(db)
            return None if decision is None else await store.settle(db, decision)
    except CONTENTION:
        return None
