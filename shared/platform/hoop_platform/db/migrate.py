"""Schema migrations in plain SQL: forward-only files, and functions that are re-applied when changed.

A package with tables keeps `migrations/NNNN_name.sql`, each applied once and never edited afterwards, and
`functions/name.sql` (functions, triggers, views), each written so that it can be applied again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import asyncpg

from hoop_platform.config import with_database
from hoop_platform.db.database import Tx

PLATFORM = "hoop_platform.db"
LOCK = 727001
NOT_EMPTY = ";SELECT"
"""Behind each script: asyncpg fails on a text without a statement, such as a comment."""


class MigrationChanged(Exception):
    """A migration that was applied differs from the file of its name: files are never edited."""


class OtherVersion(Exception):
    """The database and this version each have a migration that the other one does not have."""


@dataclass(frozen=True)
class Script:
    """One file of SQL. `repeatable`: applied again whenever its text differs from the applied one."""

    name: str
    sql: str
    repeatable: bool

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def scripts(*packages: str, platform: bool = True) -> list[Script]:
    """All scripts in the order in which they are applied: migrations, then functions.

    `platform`: whether the platform's own tables, which every service has, come first.
    """
    sources = [PLATFORM, *packages] if platform else list(packages)
    return [
        script
        for folder in ("migrations", "functions")
        for package in sources
        for script in _in_folder(package, folder)
    ]


def _in_folder(package: str, folder: str) -> Iterator[Script]:
    path = files(package) / folder
    found: list[Traversable] = list(path.iterdir()) if path.is_dir() else []
    for file in sorted(found, key=lambda f: f.name):
        if file.name.endswith(".sql"):
            name = f"{package}/{folder}/{file.name}"
            yield Script(name, file.read_text(), repeatable=folder == "functions")


async def migrate(dsn: str, *packages: str, platform: bool = True) -> list[str]:
    """Create the database if it is missing and apply what is new; returns the names applied.

    One runner at a time (advisory lock); each file in a transaction of its own. Raises
    `MigrationChanged`, and `OtherVersion` for a database of another version.
    """
    await _create(dsn)
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=600)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version text PRIMARY KEY, checksum text"
            " NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        ours = scripts(*packages, platform=platform)
        await _check_version(connection, ours)
        return [script.name for script in ours if await _apply(connection, script)]
    finally:
        await connection.close(timeout=5)


async def _check_version(connection: Tx, ours: list[Script]) -> None:
    """Refuse a database with another history.

    One that is merely ahead belongs to a newer release, of which this one is the version before:
    all that this version needs is there.
    """
    rows = await connection.fetch("SELECT version FROM schema_migrations")
    applied = {row["version"] for row in rows if "/functions/" not in row["version"]}
    needed = {script.name for script in ours if not script.repeatable}
    other = min(applied - needed, default=None)
    if other is not None and needed - applied:
        raise OtherVersion(f"{other} was applied by another version, and this one does not have it")


async def _apply(connection: Tx, script: Script) -> bool:
    applied = await connection.fetchval(
        "SELECT checksum FROM schema_migrations WHERE version = $1", script.name
    )
    if applied == script.checksum:
        return False
    if applied is not None and not script.repeatable:
        raise MigrationChanged(
            f"{script.name} was applied in another form; write a new file instead"
        )
    async with connection.transaction():
        if script.repeatable:  # a function may name another one that is applied after it
            await connection.execute("SET LOCAL check_function_bodies = off")
        await connection.execute(f"{script.sql}\n{NOT_EMPTY}")
        await connection.execute(
            """
            INSERT INTO schema_migrations (version, checksum) VALUES ($1, $2)
            ON CONFLICT (version) DO UPDATE SET checksum = excluded.checksum, applied_at = now()
            """,
            script.name,
            script.checksum,
        )
    return True


async def _create(dsn: str) -> None:
    name = dsn.partition("?")[0].rpartition("/")[2]
    try:
        await (await asyncpg.connect(dsn, timeout=10)).close(timeout=5)
    except asyncpg.InvalidCatalogNameError:
        server = await asyncpg.connect(with_database(dsn, "postgres"), timeout=10)
        try:
            await server.execute(f'CREATE DATABASE "{name}"')
        except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
            pass  # another runner was faster
        finally:
            await server.close(timeout=5)
