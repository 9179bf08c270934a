"""The baseline of contention for one host: an SQL function that locks the host, looks, and inserts."""

import asyncpg

from bench.report.findings import Broken
from bench.systems.single_service import Servers

_TABLES = """
    CREATE TABLE appointment (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, host text NOT NULL,
        starts timestamptz NOT NULL, ends timestamptz NOT NULL, state bytea NOT NULL
    );
    CREATE INDEX ON appointment (host, starts);
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL
    );
    CREATE FUNCTION take(
        p_host text, p_starts timestamptz, p_ends timestamptz, p_state bytea
    ) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(hashtextextended(p_host, 0));
        IF EXISTS (SELECT FROM appointment
                    WHERE host = p_host AND starts > p_starts - interval '1 day'
                      AND starts < p_ends AND ends > p_starts) THEN
            RETURN false;
        END IF;
        INSERT INTO appointment (host, starts, ends, state)
        VALUES (p_host, p_starts, p_ends, p_state);
        INSERT INTO outbox (body) VALUES (p_state);
        RETURN true;
    END $$;
"""
_OVERLAPS = """
    SELECT count(*) FROM (
        SELECT starts, max(ends) OVER (PARTITION BY host ORDER BY starts, id
                                       ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
          FROM appointment) AS a
     WHERE a.starts < a.before
"""


async def prepare(servers: Servers) -> str:
    """Create a database with the function on the measured server; return its DSN."""
    dsn = await servers.empty_database("bare")
    database = await asyncpg.connect(dsn, timeout=10)
    try:
        await database.execute(_TABLES)
    finally:
        await database.close(timeout=5)
    return dsn


async def verify(dsn: str) -> None:
    """`Broken` if appointments of the baseline overlap."""
    database = await asyncpg.connect(dsn, timeout=10)
    try:
        overlaps = await database.fetchval(_OVERLAPS)
    finally:
        await database.close(timeout=5)
    if overlaps:
        raise Broken(f"{overlaps} appointments of the floor overlap")
