"""The baseline of a stored booking: two inserts in one transaction, and nothing else."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from hoop_platform.config import with_database

SIZE = 620
"""Bytes of an event, about as many as ours have, envelope included."""
_TABLES = """
    CREATE TABLE decided (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state bytea NOT NULL);
    CREATE TABLE announced (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL);
"""


class BareStore:
    """Writes two rows in one transaction, as durably as the services do."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def write(self) -> float:
        """BEGIN, two INSERTs, COMMIT: return the milliseconds."""
        begun = time.perf_counter()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute("INSERT INTO decided (state) VALUES ($1)", bytes(SIZE))
            await connection.execute("INSERT INTO announced (body) VALUES ($1)", bytes(SIZE))
        return (time.perf_counter() - begun) * 1000


@asynccontextmanager
async def bare_store(facts: Mapping[str, Any], *, clients: int) -> AsyncIterator[BareStore]:
    """Open `clients` connections to a new database on the system's own PostgreSQL server."""
    dsn = facts["postgres"]["booking"]
    server = await asyncpg.connect(with_database(dsn, "postgres"), timeout=10)
    try:
        await server.execute("CREATE DATABASE bench_floor")
    finally:
        await server.close(timeout=5)
    own = with_database(dsn, "bench_floor")
    async with asyncpg.create_pool(own, min_size=clients, max_size=clients, timeout=10) as pool:
        await pool.execute(_TABLES)
        yield BareStore(pool)
