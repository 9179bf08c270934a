"""Waiting until a system has nothing left to do, so that no burst pays for the one before it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from bench.report.findings import Broken

LIMIT = 120.0  # seconds
CONSUMERS = ("availability", "meetings", "sync-google", "notifications")
_WITH_COLUMNS = """
    SELECT table_name FROM information_schema.columns
     WHERE table_schema = 'public' AND column_name = ANY ($1::text[])
     GROUP BY table_name HAVING count(*) = cardinality($1::text[])
     ORDER BY table_name
"""
OFFSETS = ("topic", "partition", "next_offset")
DESIRED_STATES = ("status", "desired", "next_attempt_at")


@dataclass(frozen=True)
class _Database:
    """A service's database. Its tables are found by their columns, for their names differ between commits."""

    connection: asyncpg.Connection
    offsets: str
    desired_states: list[str]

    @classmethod
    async def open(cls, dsn: str) -> "_Database":
        connection = await asyncpg.connect(dsn, timeout=10)
        offsets = await _tables(connection, *OFFSETS)
        if len(offsets) != 1:
            raise Broken(f"{len(offsets)} tables have the columns {OFFSETS}: {offsets}")
        return cls(connection, offsets[0], await _tables(connection, *DESIRED_STATES))

    async def pending(self) -> int:
        """Count outbox rows and desired states that are due, now or later."""
        count: int = await self.connection.fetchval("SELECT count(*) FROM outbox")
        for table in self.desired_states:
            count += await self.connection.fetchval(
                f"SELECT count(*) FROM {table} WHERE status IN ('due', 'waiting')"
                " AND kind <> 'google-feed'"
            )
        return count

    async def consumed(self) -> int | None:
        """Return how many records of the topic `appointments` this service has consumed."""
        consumed: int | None = await self.connection.fetchval(
            f"SELECT sum(next_offset)::bigint FROM {self.offsets} WHERE topic = 'appointments'"
        )
        return consumed

    async def all_offsets(self) -> dict[tuple[str, int], int]:
        """Return the next offset of each partition of which this service has consumed records."""
        rows = await self.connection.fetch(f"SELECT {', '.join(OFFSETS)} FROM {self.offsets}")
        return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


class IdleWatch:
    """Looks into the services' databases: empty outboxes, no desired state due, all consumers level."""

    def __init__(self, databases: Mapping[str, _Database]) -> None:
        self._databases = databases

    @classmethod
    async def open(cls, facts: Mapping[str, Any]) -> "IdleWatch":
        dsns: Mapping[str, str] = facts["postgres"]
        databases = {name: await _Database.open(dsn) for name, dsn in dsns.items()}
        if not any(one.desired_states for one in databases.values()):
            raise Broken(f"no table has the columns {DESIRED_STATES}, so none shows what is due")
        return cls(databases)

    async def close(self) -> None:
        for database in self._databases.values():
            await database.connection.close(timeout=5)

    async def wait_until_idle(self) -> None:
        """Return once nothing was pending twice in a row; `Broken` after `LIMIT` seconds."""
        deadline, idle = time.monotonic() + LIMIT, 0
        while idle < 2:
            pending = {name: await one.pending() for name, one in self._databases.items()}
            consumed = {name: await self._databases[name].consumed() for name in CONSUMERS}
            idle = 0 if any(pending.values()) or len({*consumed.values()}) > 1 else idle + 1
            if time.monotonic() > deadline:
                raise Broken(
                    f"not idle within {LIMIT:.0f} s: pending {pending}, consumed {consumed}"
                )
            await asyncio.sleep(0.1)

    async def offsets(self) -> dict[str, dict[tuple[str, int], int]]:
        """Return the next offset of each consumed partition, by service."""
        return {name: await one.all_offsets() for name, one in self._databases.items()}

    async def appointments(self) -> int:
        """Count the appointments in booking's database."""
        booking = self._databases["booking"].connection
        count: int = await booking.fetchval("SELECT count(*) FROM appointment")
        return count


async def _tables(connection: asyncpg.Connection, *columns: str) -> list[str]:
    """Return the names of the tables that have all of these columns."""
    return [row["table_name"] for row in await connection.fetch(_WITH_COLUMNS, columns)]
