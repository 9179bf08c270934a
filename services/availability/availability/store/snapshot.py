"""The whole read model at one instant, in the text that booking can write of its own tables, too."""

from collections.abc import AsyncIterator, Iterable
from itertools import groupby
from operator import itemgetter

from availability.domain import week_name
from hoop_platform.db.database import Database, Row, Tx
from hoop_scheduling import canonical
from hoop_scheduling.canonical import ExternalBusy, HeldTime, OccupiedTime

_LONG = 600.0  # seconds


async def snapshot(database: Database, *, at: int) -> bytes:
    """Everything, as `hoop_scheduling.canonical` has it; of the holds those that count at that instant."""
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
    for row in await db.fetch(_BLOCKS, timeout=_LONG):
        yield canonical.block(*row)
    for row in await db.fetch(_EXTERNAL, timeout=_LONG):
        account_id, connection_id, part, *rest = row
        yield canonical.external(ExternalBusy(account_id, connection_id, week_name(part), *rest))
    rows = await db.fetch(_SEATS, timeout=_LONG)
    seats = [_seat(row) for row in rows if row["kind"] == b"a"]
    holds = [
        HeldTime(row["subject"], _seat(row), row["expires"]) for row in rows if row["kind"] == b"h"
    ]
    for line in canonical.occupied(seats, holds, at=at):
        yield line


_BLOCKS = """
    SELECT account_id, subject, resource_id, min(starts), max(ends) FROM occupied
     WHERE kind = 'b' GROUP BY account_id, subject, resource_id
"""
_EXTERNAL = """
    SELECT account_id, subject, part, resource_id, starts, ends FROM occupied WHERE kind = 'x'
"""
_SEATS = """
    SELECT account_id, kind, subject, session_id, calendar_id, array_agg(DISTINCT resource_id) AS who,
           min(starts) AS starts, max(ends) AS ends, min(buffer_before) AS before,
           min(buffer_after) AS after, min(expires) AS expires
      FROM occupied WHERE kind IN ('a', 'h')
     GROUP BY account_id, kind, subject, session_id, calendar_id ORDER BY account_id, subject
"""


def _seat(row: Row) -> OccupiedTime:
    return OccupiedTime(
        account_id=row["account_id"],
        session=row["session_id"],
        calendar_id=row["calendar_id"],
        hosts=tuple(row["who"]),
        resources=(),
        start=row["starts"],
        end=row["ends"],
        before=row["before"],
        after=row["after"],
    )


def differences(mine: bytes, theirs: bytes, *, most: int = 20) -> list[str]:
    """The first lines that only one of the two texts has."""
    both = [(line, "- only here:  ") for line in mine.splitlines()]
    both += [(line, "+ only there: ") for line in theirs.splitlines()]
    return list(_alone(sorted(both)))[:most]


def _alone(lines: Iterable[tuple[bytes, str]]) -> Iterable[str]:
    for line, found in groupby(lines, itemgetter(0)):
        sides = [side for _, side in found]
        here, there = (sum(1 for side in sides if side[0] == mark) for mark in "-+")
        if here != there:
            yield ("- only here:  " if here > there else "+ only there: ") + line.decode()


async def rows_counted(database: Database) -> list[Row]:
    """Rows of each table, as exactly as Postgres knows without counting."""
    return list(
        await database.fetch(
            """
            SELECT relname::text AS name, greatest(reltuples, 0)::bigint AS rows,
                   pg_total_relation_size(oid) AS bytes
              FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
               AND relname IN ('occupied', 'calendar', 'schedule', 'asset', 'version', 'applied')
             ORDER BY relname
            """
        )
    )
