"""Shadow tables: the read model made again beside the one in use, brought up to date, and swapped in."""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from struct import Struct

import asyncpg
import orjson

from availability.domain import hosts_of
from availability.jobs.fold import Document, Fold, copied
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import unspell
from hoop_platform.kafka.log_reader import PartitionKey

TABLES = ("occupied", "calendar", "schedule", "asset", "applied_event")
_LONG = 3600.0  # seconds
_AT_ONCE = 4000
_BEGIN, _END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_APPLIED = Struct(">i26siq")
_INDEX = re.compile(r"INDEX (\S+) ON (\S+)\.(\S+) ")
_CHAR = 8
"""Length of a bigint."""


async def lay(database: Database) -> None:
    """Make them, empty; what an earlier attempt left is dropped."""
    async with database.transaction() as db:
        for table in (*TABLES, "version"):
            await db.execute(f"DROP TABLE IF EXISTS new_{table}")
            await db.execute(f"CREATE TABLE new_{table} (LIKE {table} INCLUDING DEFAULTS)")
        await db.execute("ALTER TABLE new_version ADD PRIMARY KEY (account_id, id)")


async def fill_occupied(database: Database, fold: Fold) -> None:
    """All that is occupied, with its indexes."""
    async with _patient(database) as db:
        await _copy(db, "occupied", filter(None, fold.rows.values()))
        for table, documents in fold.documents.items():
            await _copy(db, table, _documents(table, documents))
        for table in TABLES[:-1]:
            await _index(db, table)


async def fill_applied(database: Database, fold: Fold) -> None:
    """The newest sequences and versions."""
    async with _patient(database) as db:
        for topic, newest in fold.newest.items():
            await _copy(db, "applied", _applied(topic, newest))
        await _index(db, "applied")
        await _raise_versions(db, "new_version", fold)


async def add(db: Tx, fold: Fold) -> None:
    """What the fold has taken in since it was last written down."""
    await _forget(db, fold)
    await _copy(db, "occupied", [fold.rows[key] for key in fold.touched if fold.rows[key]])
    heard = list(fold.heard)
    await db.execute(
        """
        INSERT INTO new_applied_event SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
        ON CONFLICT (topic, subject) DO UPDATE SET sequence = excluded.sequence
        """,
        [topic for topic, _ in heard],
        [subject for _, subject in heard],
        [fold.newest[topic][subject] for topic, subject in heard],
    )
    subjects = {subject for _, subject in heard}
    for table, documents in fold.documents.items():
        changed = {id_: documents[id_] for id_ in documents.keys() & subjects}
        await db.execute(
            f"DELETE FROM new_{table} WHERE id = ANY ($1::uuid[])",  # noqa: S608 -- a table of ours
            list(changed),
        )
        await _copy(db, table, _documents(table, changed))
    await _raise_versions(db, "new_version", fold)


async def swap(db: Tx, places: Mapping[PartitionKey, int]) -> None:
    """Put them in the place of those in use; the caller holds the places, and commits."""
    await db.execute(
        """
        INSERT INTO version AS v SELECT * FROM new_version
        ON CONFLICT (account_id, id) DO UPDATE SET version = excluded.version
         WHERE v.version < excluded.version
        """
    )
    await db.execute("DROP TABLE new_version")
    for table in TABLES:
        names = [row["name"] for row in await _indexes(db, f"new_{table}")]
        await db.execute(f"DROP TABLE {table}")
        await db.execute(f"ALTER TABLE new_{table} RENAME TO {table}")
        for name in names:
            await db.execute(f"ALTER INDEX {name} RENAME TO {name.removeprefix('new_')}")
    await db.executemany(
        "UPDATE consumer_offset SET next_offset = $3 WHERE topic = $1 AND partition = $2",
        [(*place, offset) for place, offset in places.items()],
    )
    await db.execute("SELECT pg_notify('read_model', '*')")


class _patient:  # noqa: N801 -- reads as a verb where it is used
    """A transaction whose statements may take their time."""

    def __init__(self, database: Database) -> None:
        self._transaction = database.transaction()

    async def __aenter__(self) -> Tx:
        db = await self._transaction.__aenter__()
        await db.execute(
            "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '256MB'"
        )
        return db

    async def __aexit__(self, *error: object) -> None:
        await self._transaction.__aexit__(*error)  # type: ignore[arg-type] # passed on as it came


async def _copy(db: Tx, table: str, rows: Iterable[bytes]) -> None:
    left = iter(rows)

    async def source() -> AsyncIterator[bytes]:
        yield _BEGIN
        while some := list(islice(left, _AT_ONCE)):
            yield b"".join(some)
        yield _END

    await db.copy_to_table(f"new_{table}", source=source(), format="binary", timeout=_LONG)


async def _index(db: Tx, table: str) -> None:
    """The indexes of the table in use, whatever migrations have made of them."""
    for row in await _indexes(db, table):
        await db.execute(
            _INDEX.sub(r"INDEX new_\1 ON \2.new_\3 ", row["definition"], count=1), timeout=_LONG
        )
        if row["primary"]:
            key = f"new_{row['name']}"
            await db.execute(
                f"ALTER TABLE new_{table} ADD CONSTRAINT {key} PRIMARY KEY USING INDEX {key}"
            )
    await db.execute(f"ANALYZE new_{table}", timeout=_LONG)


async def _indexes(db: Tx, table: str) -> list[asyncpg.Record]:
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


async def _forget(db: Tx, fold: Fold) -> None:
    touched = list(fold.touched)
    await db.execute(
        """
        DELETE FROM new_occupied AS o USING unnest($1::uuid[], $2::text[], $3::int[])
               AS k (subject, kind, part)
         WHERE o.subject = k.subject AND o.kind = k.kind::"char" AND o.part = k.part
        """,
        [subject for _, subject, _ in touched],
        [kind for kind, _, _ in touched],
        [part for _, _, part in touched],
    )


async def _raise_versions(db: Tx, table: str, fold: Fold) -> None:
    told = [(a, i, v) for a, known in fold.versions.items() for i, v in sorted(known.items())]
    await db.execute(
        f"""
        INSERT INTO {table} AS v SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])
        ON CONFLICT (account_id, id) DO UPDATE SET version = excluded.version
         WHERE v.version < excluded.version
        """,  # noqa: S608 -- a table of ours
        [account_id for account_id, _, _ in told],
        [id_ for _, id_, _ in told],
        [version for _, _, version in told],
    )


def _applied(topic: str, newest: Mapping[str, int]) -> Iterable[bytes]:
    raw = topic.encode()
    head = (3).to_bytes(2, "big") + len(raw).to_bytes(4, "big") + raw
    pack, usual = _APPLIED.pack, 26
    for subject, sequence in newest.items():
        text = subject.encode()
        if len(text) == usual:
            yield head + pack(usual, text, _CHAR, sequence)
        else:
            yield copied(raw, text, sequence.to_bytes(_CHAR, "big"))


def _documents(table: str, documents: Mapping[str, Document]) -> Iterable[bytes]:
    for id_, (account_id, state) in documents.items():
        if state is None:
            continue
        key = unspell(account_id), unspell(id_)
        yield (
            _calendar(key, state)
            if table == "calendar"
            else copied(*key, _uuids(state["calendarIds"]), _jsonb(state))
        )


def _calendar(key: tuple[bytes, bytes], state: Mapping[str, object]) -> bytes:
    settings = state["settings"]
    assert isinstance(settings, dict)
    hosts = hosts_of(str(state["id"]), settings)
    place, zone = unspell(str(state["locationId"])), str(state["timeZone"]).encode()
    sequence = int(str(state["sequence"])).to_bytes(_CHAR, "big")
    return copied(*key, place, zone, _uuids(hosts), _jsonb(settings), sequence)


def _jsonb(value: object) -> bytes:
    return b"\x01" + orjson.dumps(value)


def _uuids(ids: Iterable[str]) -> bytes:
    """An array of uuid in Postgres's binary format: one dimension, no nulls, type 2950."""
    raw = [(16).to_bytes(4, "big") + unspell(id_) for id_ in ids]
    dimensions = (1 if raw else 0).to_bytes(4, "big") + bytes(4) + (2950).to_bytes(4, "big")
    size = len(raw).to_bytes(4, "big") + (1).to_bytes(4, "big") if raw else b""
    return dimensions + size + b"".join(raw)
