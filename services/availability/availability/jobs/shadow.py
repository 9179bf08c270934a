"""Shadow tables: a second read model, filled beside the one in use and then swapped with it."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from struct import Struct

import asyncpg
import orjson

from availability.domain import hosts_of
from availability.jobs.log_fold import LatestState, LogFold, copy_row
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import unspell
from hoop_platform.kafka.log_reader import PartitionKey

TABLES = ("occupied", "calendar", "schedule", "asset", "applied_event")
_LONG = 3600.0  # seconds
_CHUNK_ROWS = 4000
_COPY_HEADER, _COPY_TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_APPLIED_ROW = Struct(">i26siq")
_INDEX = re.compile(r"INDEX (\S+) ON (\S+)\.(\S+) ")
_BIGINT_BYTES = 8


async def create_tables(database: Database) -> None:
    """Create the shadow tables, empty; those of an earlier attempt are dropped."""
    async with database.transaction() as db:
        for table in (*TABLES, "version"):
            await db.execute(f"DROP TABLE IF EXISTS new_{table}")
            await db.execute(f"CREATE TABLE new_{table} (LIKE {table} INCLUDING DEFAULTS)")
        await db.execute("ALTER TABLE new_version ADD PRIMARY KEY (account_id, id)")


async def copy_rows(database: Database, fold: LogFold) -> None:
    """Fill the tables of occupied times and calendars, and create their indexes."""
    async with _long_transaction(database) as db:
        await _copy(db, "occupied", filter(None, fold.rows.values()))
        for table, states in fold.states.items():
            await _copy(db, table, _state_rows(table, states))
        for table in TABLES[:-1]:
            await _create_indexes(db, table)


async def copy_sequences(database: Database, fold: LogFold) -> None:
    """Fill the tables of applied sequences and of versions."""
    async with _long_transaction(database) as db:
        for topic, newest in fold.newest.items():
            await _copy(db, "applied_event", _applied_rows(topic, newest))
        await _create_indexes(db, "applied_event")
        await _raise_versions(db, fold)


async def apply_changes(db: Tx, fold: LogFold) -> None:
    """Write what the fold has applied since its last `mark_written`."""
    await _delete_changed(db, fold)
    await _copy(db, "occupied", [fold.rows[key] for key in fold.changed if fold.rows[key]])
    applied = list(fold.applied)
    await db.execute(
        """
        INSERT INTO new_applied_event SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
        ON CONFLICT (topic, subject) DO UPDATE SET sequence = excluded.sequence
        """,
        [topic for topic, _ in applied],
        [subject for _, subject in applied],
        [fold.newest[topic][subject] for topic, subject in applied],
    )
    subjects = {subject for _, subject in applied}
    for table, states in fold.states.items():
        changed = {id_: states[id_] for id_ in states.keys() & subjects}
        await db.execute(
            f"DELETE FROM new_{table} WHERE id = ANY ($1::uuid[])",  # noqa: S608 -- a table of ours
            list(changed),
        )
        await _copy(db, table, _state_rows(table, changed))
    await _raise_versions(db, fold)


async def swap(db: Tx, offsets: Mapping[PartitionKey, int]) -> None:
    """Replace the tables in use; the caller has locked the offsets, and commits."""
    await db.execute(
        """
        INSERT INTO version AS v SELECT * FROM new_version
        ON CONFLICT (account_id, id) DO UPDATE SET version = excluded.version
         WHERE v.version < excluded.version
        """
    )
    await db.execute("DROP TABLE new_version")
    for table in TABLES:
        names = [row["name"] for row in await _list_indexes(db, f"new_{table}")]
        await db.execute(f"DROP TABLE {table}")
        await db.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
        for name in names:
            await db.execute(f"ALTER INDEX {name} RENAME TO {name.removeprefix('new_')}")
    await db.executemany(
        "UPDATE consumer_offset SET next_offset = $3 WHERE topic = $1 AND partition = $2",
        [(*partition, offset) for partition, offset in offsets.items()],
    )
    await db.execute("SELECT pg_notify('read_model', '*')")


@asynccontextmanager
async def _long_transaction(database: Database) -> AsyncIterator[Tx]:
    """A transaction whose statements may take as long as they need."""
    async with database.transaction() as db:
        await db.execute(
            "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '256MB'"
        )
        yield db


async def _copy(db: Tx, table: str, rows: Iterable[bytes]) -> None:
    left = iter(rows)

    async def source() -> AsyncIterator[bytes]:
        yield _COPY_HEADER
        while chunk := list(islice(left, _CHUNK_ROWS)):
            yield b"".join(chunk)
        yield _COPY_TRAILER

    await db.copy_to_table(f"new_{table}", source=source(), format="binary", timeout=_LONG)


async def _create_indexes(db: Tx, table: str) -> None:
    """Create the same indexes as those of the table in use, and its primary key."""
    for row in await _list_indexes(db, table):
        await db.execute(
            _INDEX.sub(r"INDEX new_\1 ON \2.new_\3 ", row["definition"], count=1), timeout=_LONG
        )
        if row["primary"]:
            key = f"new_{row['name']}"
            await db.execute(
                f"ALTER TABLE new_{table} ADD CONSTRAINT {key} PRIMARY KEY USING INDEX {key}"
            )
    await db.execute(f"ANALYZE new_{table}", timeout=_LONG)


async def _list_indexes(db: Tx, table: str) -> list[asyncpg.Record]:
    return list(
        await db.fetch(
            """
            SELECT c.relname::text AS name, pg_get_indexdef(i.indexrelid) AS definition,
                   i.indisprimary AS "primary"
              FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
             WHERE i.indrelid = $1::text::regclass ORDER BY c.relname
            """,
            table,
        )
    )


async def _delete_changed(db: Tx, fold: LogFold) -> None:
    changed = list(fold.changed)
    await db.execute(
        """
        DELETE FROM new_occupied AS o USING unnest($1::uuid[], $2::text[], $3::int[])
               AS k (subject, kind, week)
         WHERE o.subject = k.subject AND o.kind = k.kind::"char" AND o.week = k.week
        """,
        [subject for _, subject, _ in changed],
        [kind for kind, _, _ in changed],
        [week for _, _, week in changed],
    )


async def _raise_versions(db: Tx, fold: LogFold) -> None:
    versions = [(a, i, v) for a, known in fold.versions.items() for i, v in sorted(known.items())]
    await db.execute(
        """
        INSERT INTO new_version AS v SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])
        ON CONFLICT (account_id, id) DO UPDATE SET version = excluded.version
         WHERE v.version < excluded.version
        """,
        [account_id for account_id, _, _ in versions],
        [id_ for _, id_, _ in versions],
        [version for _, _, version in versions],
    )


def _applied_rows(topic: str, newest: Mapping[str, int]) -> Iterable[bytes]:
    raw = topic.encode()
    head = (3).to_bytes(2, "big") + len(raw).to_bytes(4, "big") + raw
    pack, usual = _APPLIED_ROW.pack, 26
    for subject, sequence in newest.items():
        text = subject.encode()
        if len(text) == usual:
            yield head + pack(usual, text, _BIGINT_BYTES, sequence)
        else:
            yield copy_row(raw, text, sequence.to_bytes(_BIGINT_BYTES, "big"))


def _state_rows(table: str, states: Mapping[str, LatestState]) -> Iterable[bytes]:
    for id_, (account_id, state) in states.items():
        if state is None:
            continue
        key = unspell(account_id), unspell(id_)
        yield (
            _calendar_row(key, state)
            if table == "calendar"
            else copy_row(*key, _uuids(state["calendarIds"]), _jsonb(state))
        )


def _calendar_row(key: tuple[bytes, bytes], state: Mapping[str, object]) -> bytes:
    settings = state["settings"]
    assert isinstance(settings, dict)
    hosts = hosts_of(str(state["id"]), settings)
    location, zone = unspell(str(state["locationId"])), str(state["timeZone"]).encode()
    sequence = int(str(state["sequence"])).to_bytes(_BIGINT_BYTES, "big")
    return copy_row(*key, location, zone, _uuids(hosts), _jsonb(settings), sequence)


def _jsonb(value: object) -> bytes:
    return b"\x01" + orjson.dumps(value)


def _uuids(ids: Iterable[str]) -> bytes:
    """An array of uuid in Postgres's binary format: one dimension, no nulls, type 2950."""
    raw = [(16).to_bytes(4, "big") + unspell(id_) for id_ in ids]
    dimensions = (1 if raw else 0).to_bytes(4, "big") + bytes(4) + (2950).to_bytes(4, "big")
    size = len(raw).to_bytes(4, "big") + (1).to_bytes(4, "big") if raw else b""
    return dimensions + size + b"".join(raw)
