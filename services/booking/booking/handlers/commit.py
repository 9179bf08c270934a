"""Optimistic decisions: read a snapshot without locks, decide, commit, and try again if outdated."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from datetime import datetime

from booking.domain import holds as domain
from booking.domain.decisions import Decision
from booking.store.commit import commit_decision
from booking.store.database import BookingDatabase
from booking.store.locks import lock_bookables
from booking.store.snapshot import Found, SnapshotRequest, get_snapshot
from hoop_events.booking import Hold
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.db.savepoint import SavepointTx
from hoop_platform.errors import NotFound, Unavailable

Decide = Callable[[Tx | Database], Awaitable[Decision | None]]

OPTIMISTIC_TRIES = 3
LOCKED_TRIES = 5


class ContactUnknown(NotFound):
    """The account has no such contact, or booking has not received it yet."""

    def __init__(self) -> None:
        super().__init__("contactId")


async def decide_and_commit(
    database: Database, account_id: str, decide: Decide, *, key: str, now: datetime
) -> Decision | None:
    """Decide and commit; decide again when the snapshot was outdated. None: nothing to decide.

    Requests of this process queue for `key`, a calendar or an appointment; within a transaction they
    do not, for the request in front might wait for its locks. After `OPTIMISTIC_TRIES` everything that
    could be taken is locked first, so that the decision is committed at last; `Unavailable` after
    `LOCKED_TRIES` more.
    """
    async with (
        database.turn(account_id, key) if isinstance(database, BookingDatabase) else nullcontext()
    ):
        for _ in range(OPTIMISTIC_TRIES):
            try:
                decision = await decide(database)
                written = decision is None or await commit_decision(database, decision, now=now)
            except CONTENTION:
                continue
            if written:
                return decision
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
    others = {*first.locks.taken} | first.snapshot.calendar.takable
    try:
        async with database.transaction() as db:
            await lock_bookables(db, account_id, calendars=first.locks.calendars, others=others)
            savepoint = SavepointTx(db)  # a violated constraint leaves the locks as they are
            decision = await decide(savepoint)
            if decision is None or not await commit_decision(savepoint, decision, now=now):
                return None
            return decision
    except CONTENTION:
        return None


async def read_snapshot(db: Tx | Database, request: SnapshotRequest) -> Found:
    """What a decision is based on, after expired holds around its time have been released."""
    for _ in range(OPTIMISTIC_TRIES):
        found = await get_snapshot(db, request)
        if found.snapshot is None or not found.snapshot.expired:
            return found
        for hold_id in found.snapshot.expired:
            await commit_release(db, request.account_id, hold_id, reason="expired", now=request.now)
    raise Unavailable(headers={"Retry-After": "1"})


async def commit_release(
    db: Tx | Database,
    account_id: str,
    hold_id: str,
    *,
    reason: str,
    now: datetime,
    actor: str | None = None,
) -> bool:
    """Release a hold; False when the hold is gone, or the snapshot was outdated."""
    decision = await decide_release(db, account_id, hold_id, reason=reason, now=now, actor=actor)
    return decision is not None and await commit_decision(db, decision, now=now)


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
    request = SnapshotRequest(account_id, now, appointment=hold_id, held=True, deleted_too=True)
    found = await get_snapshot(db, request)
    if found.before is None:
        return None
    assert isinstance(found.before, Hold)
    assert found.snapshot is not None
    return domain.release(found.before, found.snapshot, reason=reason, actor=actor)
