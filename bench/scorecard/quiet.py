"""Waiting until the system has nothing left to do, so that no burst pays for the one before it."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import asyncpg

from .plan import Broken

LIMIT = 120.0  # seconds
_OWED = """
    SELECT (SELECT count(*) FROM outbox)
         + (SELECT count(*) FROM work WHERE status = 'due') AS owed
"""
_HANDLED = "SELECT sum(next_offset)::bigint FROM consumer_offset WHERE topic = 'appointments'"
CONSUMERS = ("availability", "meetings", "sync-google", "notifications")


class Watch:
    """Looks into the services' databases: outboxes empty, wishes fulfilled, all consumers level."""

    def __init__(self, connections: Mapping[str, asyncpg.Connection]) -> None:
        self._connections = connections

    @classmethod
    async def open(cls, facts: Mapping[str, Any]) -> "Watch":
        dsns: Mapping[str, str] = facts["postgres"]
        return cls({name: await asyncpg.connect(dsn, timeout=10) for name, dsn in dsns.items()})

    async def close(self) -> None:
        for connection in self._connections.values():
            await connection.close(timeout=5)

    async def quiet(self) -> None:
        """Return once nothing was owed twice in a row; `Broken` if that does not come about."""
        deadline, calm = time.monotonic() + LIMIT, 0
        while calm < 2:
            owed = {name: await db.fetchval(_OWED) for name, db in self._connections.items()}
            handled = {n: await self._connections[n].fetchval(_HANDLED) for n in CONSUMERS}
            calm = 0 if any(owed.values()) or len({*handled.values()}) > 1 else calm + 1
            if time.monotonic() > deadline:
                raise Broken(f"not done within {LIMIT:.0f} s: owed {owed}, handled {handled}")
            await asyncio.sleep(0.1)

    async def appointments(self) -> int:
        """How many appointments booking has."""
        found: int = await self._connections["booking"].fetchval("SELECT count(*) FROM appointment")
        return found
