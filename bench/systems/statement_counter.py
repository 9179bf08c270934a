"""PostgreSQL's own count of the statements of each service, without those of the bench."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg

from bench.measures.statement_counts import Counts, Statement
from bench.report.findings import Broken
from hoop_platform.config import with_database

ROLE = "bench"
"""PostgreSQL counts by role, so that whoever looks under a name of its own is not in the figures."""
_CALLS = """
    SELECT datname, queryid, sum(calls)::bigint AS calls
      FROM pg_stat_statements(false) AS s JOIN pg_database AS d ON d.oid = s.dbid
     WHERE s.userid <> $1::regrole AND s.toplevel
     GROUP BY datname, queryid
"""
_TEXTS = """
    SELECT DISTINCT ON (datname, queryid) datname, queryid, query
      FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
     WHERE s.userid <> $1::regrole AND s.toplevel
"""
_FORGOTTEN = "SELECT dealloc FROM pg_stat_statements_info"


@dataclass(frozen=True)
class StatementCounter:
    """Reads pg_stat_statements in a database that no service uses.

    `facts` are those of the system with the bench's role in the DSNs, for all else that looks.
    """

    connection: asyncpg.Connection
    services: Mapping[str, str]
    """The service of each database."""
    facts: Mapping[str, Any]

    @classmethod
    async def open(cls, facts: Mapping[str, Any]) -> Self:
        """Create the role and the extension; the server must have loaded the library."""
        dsns: Mapping[str, str] = facts["postgres"]
        services = {urlsplit(dsn).path.lstrip("/"): name for name, dsn in dsns.items()}
        password = secrets.token_hex(16)
        usual = with_database(next(iter(dsns.values())), "postgres")
        server = await asyncpg.connect(usual, timeout=10)
        try:
            await server.execute(f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD '{password}'")
        finally:
            await server.close(timeout=5)
        own = {name: _with_role(dsn, password) for name, dsn in dsns.items()}
        connection = await asyncpg.connect(_with_role(usual, password), timeout=10)
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        return cls(connection, services, {**facts, "postgres": own})

    async def close(self) -> None:
        await self.connection.close(timeout=5)

    async def read(self) -> Counts:
        """Return how often each statement has been run so far; `Broken` if PostgreSQL forgot some."""
        if forgotten := await self.connection.fetchval(_FORGOTTEN):
            raise Broken(f"PostgreSQL forgot statements {forgotten} times: no count is right")
        return {
            self._statement(row): row["calls"] for row in await self.connection.fetch(_CALLS, ROLE)
        }

    async def texts(self) -> Mapping[Statement, str]:
        """Return the text of each statement, with `$1` for constants, on one line."""
        found = await self.connection.fetch(_TEXTS, ROLE)
        return {self._statement(row): " ".join(row["query"].split()) for row in found}

    def _statement(self, row: asyncpg.Record) -> Statement:
        return Statement(self.services.get(row["datname"], row["datname"]), row["queryid"])


def _with_role(dsn: str, password: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{ROLE}:{password}@{parts.hostname}:{parts.port}").geturl()
