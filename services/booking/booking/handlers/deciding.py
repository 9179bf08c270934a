"""From reading without locks to a decision that is written, or read and decided once more."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from booking.domain import holds
from booking.domain.decisions import Decision, Seated
from booking.domain.placing import Basis
from booking.handlers.turns import turn
from booking.store import holds as store
from booking.store import settling, versions
from booking.store.basis import basis
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.errors import NotFound, Unavailable

Decide = Callable[[Tx | Database], Awaitable[Decision | None]]

OPTIMISTIC_TRIES = 3
LOCKED_TRIES = 5


class ContactUnknown(NotFound):
    """No contact of the account, or one that booking has not heard of yet."""


async def settled(
    database: Database, account_id: str, decide: Decide, *, at: str, now: datetime
) -> Decision | None:
    """Decide on what is read and write it down; when it has changed meanwhile, again.

    Those of this process take turns `at` what they want: a calendar, or an appointment.
    After three tries everything that could be taken is locked first, so that somebody always gets
    through. None when there was nothing to decide.
    """
    async with turn(database, account_id, at):
        for _ in range(OPTIMISTIC_TRIES):
            try:
                async with database.connection() as db:
                    decision = await decide(db)
                    told = decision and await settling.settle(db, decision, now=now)
            except CONTENTION:
                continue
            if decision is None or told is not None:
                database.notify()
                return told
        return await _insisting(database, account_id, decide, now)


async def _insisting(
    database: Database, account_id: str, decide: Decide, now: datetime
) -> Decision | None:
    for _ in range(LOCKED_TRIES):
        first = await decide(database)
        if first is None:
            return None
        if (told := await _under_locks(database, account_id, first, decide, now)) is not None:
            return told
    raise Unavailable(headers={"Retry-After": "1"})


async def _under_locks(
    database: Database, account_id: str, first: Decision, decide: Decide, now: datetime
) -> Decision | None:
    others = {*first.taken} | first.basis.calendar.takable
    try:
        async with database.transaction() as db:
            await versions.lock(db, account_id, calendars=first.calendars, others=others)
            pinned = SavepointTx(db)  # a constraint that says no leaves the locks as they are
            decision = await decide(pinned)
            return None if decision is None else await settling.settle(pinned, decision, now=now)
    except CONTENTION:
        return None


async def known(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    *,
    start: datetime,
    end: datetime,
    before: Seated | None,
    now: datetime,
    contact: str | None = None,
) -> Basis:
    """What is known around that time, once holds that ran out there have been given back.

    Raises `NotFound` for a calendar, `ContactUnknown` for a contact that is not the account's.
    """
    for _ in range(OPTIMISTIC_TRIES):
        found = await basis(
            db,
            account_id,
            calendar_id,
            start=start,
            end=end,
            before=before,
            now=now,
            contact=contact,
        )
        if found is None:
            raise NotFound
        if contact is not None and found.contact_name is None:
            raise ContactUnknown
        expired = [h for h in found.expired if before is None or h != before.id]
        if not expired:
            return found
        for hold_id in expired:
            await give_back(db, account_id, hold_id, reason="expired", now=now)
    raise Unavailable(headers={"Retry-After": "1"})


async def give_back(
    db: Tx | Database,
    account_id: str,
    hold_id: str,
    *,
    reason: str,
    now: datetime,
    actor: str | None = None,
) -> Decision | None:
    """Release a hold; None when it is gone, or when somebody changed something meanwhile."""
    decision = await releasing(db, account_id, hold_id, reason=reason, now=now, actor=actor)
    return decision and await settling.settle(db, decision, now=now)


async def releasing(
    db: Tx | Database,
    account_id: str,
    hold_id: str,
    *,
    reason: str,
    now: datetime,
    actor: str | None = None,
) -> Decision | None:
    """The decision to release a hold; None when it is gone. Its calendar may be gone as well."""
    held = await store.hold(db, account_id, hold_id)
    if held is None:
        return None
    found = await basis(
        db,
        account_id,
        held.calendar_id,
        start=held.start_time,
        end=held.end_time,
        before=held,
        now=now,
        deleted_too=True,
    )
    assert found is not None
    return holds.release(held, found, reason=reason, actor=actor)
