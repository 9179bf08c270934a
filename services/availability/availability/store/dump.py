"""The whole read model at one instant as canonical text, and the sizes of its tables."""

from collections.abc import AsyncIterator

from availability.domain import week_name
from hoop_platform.db.database import Database, Row, Tx
from hoop_scheduling import canonical
from hoop_scheduling.canonical import ExternalBusy, HeldTime, OccupiedTime

_LONG = 600.0  # seconds

_BLOCK_SLOTS = """
    SELECT account_id, subject, resource_id, min(starts), max(ends) FROM occupied
     WHERE kind = 'b' GROUP BY account_id, subject, resource_id
"""
_EXTERNAL = """
    SELECT account_id, subject, week, resource_id, starts, ends FROM occupied WHERE kind = 'x'
"""
_SEATS = """
    SELECT account_id, kind, subject, session_id, calendar_id,
           array_agg(DISTINCT resource_id) AS resources, min(starts) AS starts, max(ends) AS ends,
           min(buffer_before) AS before, min(buffer_after) AS after, min(expires) AS expires
      FROM occupied WHERE kind IN ('a', 'h')
     GROUP BY account_id, kind, subject, session_id, calendar_id ORDER BY account_id, subject
"""


async def get_dump(database: Database, *, at: int) -> bytes:
    """The read model as `hoop_scheduling.canonical` text; holds that expired by `at` are left out.

    booking writes the same text from its own tables.
    """
    async with database.transaction(notify=False) as db:
        await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await db.execute("SET LOCAL statement_timeout = 0")
        lines = [line async for line in _lines(db, at)]
    return canonical.text(lines)


async def _lines(db: Tx, at: int) -> AsyncIterator[bytes]:
    for row in await db.fetch("SELECT * FROM calendar", timeout=_LONG):
        yield canonical.calendar(row["account_id"], row["id"], row["time_zone"], row["settings"])
    for row in await db.fetch("SELECT * FROM schedule", timeout=_LONG):
        yield canonical.schedule(row["account_id"], row["state"])
    for row in await db.fetch("SELECT * FROM asset", timeout=_LONG):
        yield canonical.resource(row["account_id"], row["state"])
    for row in await db.fetch(_BLOCK_SLOTS, timeout=_LONG):
        yield canonical.block(*row)
    for row in await db.fetch(_EXTERNAL, timeout=_LONG):
        account_id, connection_id, week, *rest = row
        yield canonical.external(ExternalBusy(account_id, connection_id, week_name(week), *rest))
    rows = await db.fetch(_SEATS, timeout=_LONG)
    seats = [_seat(row) for row in rows if row["kind"] == b"a"]
    holds = [
        HeldTime(row["subject"], _seat(row), row["expires"]) for row in rows if row["kind"] == b"h"
    ]
    for line in canonical.occupied(seats, holds, at=at):
        yield line


def _seat(row: Row) -> OccupiedTime:
    return OccupiedTime(
        account_id=row["account_id"],
        session=row["session_id"],
        calendar_id=row["calendar_id"],
        hosts=tuple(row["resources"]),
        resources=(),
        start=row["starts"],
        end=row["ends"],
        before=row["before"],
        after=row["after"],
    )


async def list_table_sizes(database: Database) -> list[Row]:
    """Name, estimated number of rows (by Postgres's statistics) and bytes of each table."""
    return list(
        await database.fetch(
            """
            SELECT relname::text AS name, greatest(reltuples, 0)::bigint AS rows,
                   pg_total_relation_size(oid) AS bytes
              FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
               AND relname IN ('occupied', 'calendar', 'schedule', 'asset', 'version',
                               'applied_event')
             ORDER BY relname
            """
        )
    )
