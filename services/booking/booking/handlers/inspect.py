"""Reading all tables in one state: the canonical dump, and the check of the invariants."""

from datetime import datetime

from booking.store.audit import list_violations
from booking.store.dump import get_dump
from hoop_platform.db.database import Database

_ONE_STATE = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL statement_timeout = 0;
"""


async def dump(database: Database, *, at: datetime) -> bytes:
    """What takes time at that instant, and by which rules, in the form of `hoop_scheduling.canonical`."""
    async with database.transaction(notify=False) as db:
        await db.execute(_ONE_STATE)
        return await get_dump(db, at=at)


async def audit(database: Database) -> list[str]:
    """The violated invariants, one line each; none when all hold."""
    async with database.transaction(notify=False) as db:
        await db.execute(_ONE_STATE)
        return await list_violations(db)
