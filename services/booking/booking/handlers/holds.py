"""Commands on holds: create one, release one, release all that have expired."""

from dataclasses import dataclass
from datetime import datetime

from booking.domain import holds as domain
from booking.domain.decisions import Decision
from booking.domain.requested_time import RequestedTime
from booking.handlers.commit import (
    commit_release,
    decide_and_commit,
    decide_release,
    read_snapshot,
)
from booking.store import holds as store
from booking.store.holds import ExpiredHold
from booking.store.snapshot import SnapshotRequest
from hoop_events.booking import Hold
from hoop_platform.db.database import CONTENTION, UNAVAILABLE, Database, Tx
from hoop_platform.errors import NotFound
from hoop_platform.ids import new_id
from hoop_platform.telemetry import cause, log

HELD = "held"
"""The signal of a new hold."""
BATCH = 100
"""The most expired holds that are released at once."""


@dataclass(frozen=True)
class HoldRequest:
    """The time to hold. `end` None: as long as the calendar's appointments are."""

    calendar_id: str
    start: datetime
    until: datetime
    end: datetime | None = None
    host: str | None = None


async def create_hold(
    database: Database, account_id: str, hold_id: str, request: HoldRequest, *, now: datetime
) -> Hold:
    """Hold the requested time, under the rules of a booking."""

    async def decide(db: Tx | Database) -> Decision:
        read = SnapshotRequest(account_id, now, request.calendar_id, request.start, request.end)
        snapshot = (await read_snapshot(db, read)).snapshot
        if snapshot is None:
            raise NotFound("calendarId")
        end = request.end or request.start + snapshot.calendar.length
        time = RequestedTime(request.start, end, request.host)
        return domain.hold(
            snapshot, time, hold_id=hold_id, session_id=new_id(), until=request.until, now=now
        )

    decision = await decide_and_commit(
        database, account_id, decide, key=request.calendar_id, now=now
    )
    assert decision is not None
    assert isinstance(decision.after, Hold)
    database.notify(HELD)
    return decision.after


async def release_hold(
    database: Database, account_id: str, hold_id: str, *, now: datetime, actor: str | None = None
) -> None:
    """Release a hold before it expires; `NotFound` for one that is gone."""
    if await store.get_hold(database, account_id, hold_id) is None:
        raise NotFound("holdId")

    async def decide(db: Tx | Database) -> Decision | None:
        return await decide_release(
            db, account_id, hold_id, reason="released", now=now, actor=actor
        )

    await decide_and_commit(database, account_id, decide, key=hold_id, now=now)


async def release_expired(database: Database, *, now: datetime) -> int:
    """Release expired holds of all accounts; returns their number.

    One that cannot be released now is left for later, and delays no other. Raises `UNAVAILABLE` errors.
    """
    released, after = 0, None
    while page := await store.list_expired_holds(database, now, after=after, limit=BATCH):
        for hold in page:
            released += await _release_one(database, hold, now=now)
        if len(page) < BATCH:
            break
        after = page[-1]
    return released


async def _release_one(database: Database, hold: ExpiredHold, *, now: datetime) -> bool:
    try:
        return await commit_release(database, hold.account_id, hold.id, reason="expired", now=now)
    except CONTENTION:
        return False
    except UNAVAILABLE:
        raise
    except Exception as error:  # noqa: BLE001 -- a row that cannot be read must not keep all others
        log.error("hold not released", hold=hold.id, error=cause(error), exc_info=error)
        return False
