"""Optimistic decisions: read a snapshot without locks, decide, commit, and try again if outdated."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from booking.domain import holds as domain
from booking.domain.decisions import Decision, Occupant
from booking.domain.snapshot import Snapshot
from booking.handlers.fair_queue import turn
from booking.store.commit import commit_decision
from booking.store.holds import get_hold
from booking.store.locks import lock_resources
from booking.store.snapshot import get_snapshot
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.errors import NotFound, Unavailable

Decide = Callable[[Tx | Database], Awaitable[Decision | None]]

OPTIMISTIC_TRIES = 3
LOCKED_TRIES = 5


class ContactUnknown(NotFound):
    """The account has no such contact, or booking has not received it yet."""


async def decide_and_commit(
    database: Database, account_id: str, decide: Decide, *, key: str, now: datetime
) -> Decision | None:
    """Decide and commit; decide again when the snapshot was outdated. None: nothing to decide.

    Requests of this process queue for `key`, a calendar or an appointment. After
    `OPTIMISTIC_TRIES` everything that could be taken is locked first, so that the decision is
    committed at last; `Unavailable` after `LOCKED_TRIES` more.
    """
    async with turn(database, account_id, key):
        for _ in range(OPTIMISTIC_TRIES):
            try:
                async with database.connection() as db:
                    decision = await decide(db)
                    committed = decision and await commit_decision(db, decision, now=now)
            except CONTENTION:
                continue
            if decision is None or committed is not None:
                database.notify()
                return committed
        return await _commit_under_locks(database, account_id, decide, now)


async def _commit_under_locks(
    database: Database, account_id: str, decide: Decide, now: datetime
) -> Decision | None:
    for _ in range(LOCKED_TRIES):
        first = await decide(database)
        if first is None:
            return None
        committed = await _try_under_locks(database, account_id, first, decide, now)
        if committed is not None:
            return committed
    raise Unavailable(headers={"Retry-After": "1"})


async def _try_under_locks(
    database: Database, account_id: str, first: Decision, decide: Decide, now: datetime
) -> Decision | None:
    others = {*first.taken} | first.snapshot.calendar.takable
    try:
        async with database.transaction() as db:
            await lock_resources(db, account_id, calendars=first.calendars, others=others)
            savepoint = SavepointTx(db)  # a violated constraint leaves the locks as they are
            decision = await decide(savepoint)
            if decision is None:
                return None
            return await commit_decision(savepoint, decision, now=now)
    except CONTENTION:
        return None


async def read_snapshot(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    *,
    start: datetime,
    end: datetime,
    before: Occupant | None,
    now: datetime,
    contact: str | None = None,
) -> Snapshot:
    """The snapshot for [start, end), after expired holds in it have been released.

    Raises `NotFound` for an unknown calendar, `ContactUnknown` for an unknown contact.
    """
    for _ in range(OPTIMISTIC_TRIES):
        found = await get_snapshot(
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
            await commit_release(db, account_id, hold_id, reason="expired", now=now)
    raise Unavailable(headers={"Retry-After": "1"})


async def commit_release(
    db: Tx | Database,
    account_id: str,
    hold_id: str,
    *,
    reason: str,
    now: datetime,
    actor: str | None = None,
) -> Decision | None:
    """Release a hold; None when the hold is gone, or the snapshot was outdated."""
    decision = await decide_release(db, account_id, hold_id, reason=reason, now=now, actor=actor)
    return decision and await commit_decision(db, decision, now=now)


async def decide_release(
    db: Tx | Database,
    account_id: str,
    hold_id: str,
    *,
    reason: str,
    now: datetime,
    actor: str | None = None,
) -> Decision | None:
    """The decision to release a hold, also on a deleted calendar; None when the hold is gone."""
    held = await get_hold(db, account_id, hold_id)
    if held is None:
        return None
    found = await get_snapshot(
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
    return domain.release(held, found, reason=reason, actor=actor)
