"""Looking at everything from outside: the canonical dump, and the audit of what must hold."""

from datetime import datetime

from booking.store.audit import findings
from booking.store.facts import facts
from hoop_platform.db.database import Database

_ONE_STATE = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL statement_timeout = 0;
"""


async def dump(database: Database, *, at: datetime) -> bytes:
    """What occupies time at that instant and by which rules, as `hoop_scheduling.canonical` spells it."""
    async with database.transaction(notify=False) as db:
        await db.execute(_ONE_STATE)
        return await facts(db, at=at)


async def audit(database: Database) -> list[str]:
    """What is wrong, one line each, seen in one state of the tables."""
    async with database.transaction(notify=False) as db:
        await db.execute(_ONE_STATE)
        return await findings(db)
