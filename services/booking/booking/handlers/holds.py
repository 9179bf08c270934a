"""Commands on holds: keep a time for somebody, give it back, and clear away what ran out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from booking.domain import holds as domain
from booking.domain.decisions import Decision
from booking.domain.placing import Wanted
from booking.handlers.deciding import give_back, known, releasing, settled
from booking.store import holds as store
from hoop_events.booking import Hold
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.errors import NotFound
from hoop_platform.ids import new_id

AT_ONCE = 100
"""So many that ran out are given back in one go."""


@dataclass(frozen=True)
class HoldRequest:
    """The time to be kept. `end` None: as long as the calendar's appointments are."""

    calendar_id: str
    start: datetime
    until: datetime
    end: datetime | None = None
    host: str | None = None


async def create_hold(
    database: Database, account_id: str, hold_id: str, wanted: HoldRequest, *, now: datetime
) -> Hold:
    """Take a seat that nobody sits in yet; the rules are those of a booking."""
    start = wanted.start

    async def decide(db: Tx | Database) -> Decision:
        found = await known(
            db,
            account_id,
            wanted.calendar_id,
            start=start,
            end=max(wanted.end or start, start),
            before=None,
            now=now,
        )
        length = timedelta(milliseconds=found.calendar.rules.length)
        time = Wanted(start, wanted.end or start + length, wanted.host)
        return domain.hold(
            found, time, hold_id=hold_id, session_id=new_id(), until=wanted.until, now=now
        )

    decision = await settled(database, account_id, decide, at=wanted.calendar_id, now=now)
    assert decision is not None
    assert isinstance(decision.after, Hold)
    return decision.after


async def release_hold(
    database: Database, account_id: str, hold_id: str, *, now: datetime, actor: str | None = None
) -> None:
    """Give the time back before it runs out; what is gone already was given back."""
    if await store.hold(database, account_id, hold_id) is None:
        raise NotFound

    async def decide(db: Tx | Database) -> Decision | None:
        return await releasing(db, account_id, hold_id, reason="released", now=now, actor=actor)

    await settled(database, account_id, decide, at=hold_id, now=now)


async def release_expired(database: Database, *, now: datetime) -> int:
    """Give back holds that have run out, of all accounts; how many. What is contended waits."""
    await store.forget_gone(database)
    done = 0
    for account_id, hold_id in await store.run_out(database, now, most=AT_ONCE):
        try:
            told = await give_back(database, account_id, hold_id, reason="expired", now=now)
        except CONTENTION:
            continue
        done += told is not None
    if done:
        database.notify()
    return done
