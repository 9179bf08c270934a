"""The gate before every handler: nothing twice, nothing late, nothing by a consumer that lost its place."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.db import Connection, Database


async def enter(db: Connection, topic: str, partition: int) -> int:
    """Lock the partition's place for this transaction and answer the next offset to handle."""
    offset: int = await db.fetchval(
        """
        INSERT INTO consumed AS c (topic, partition, next_offset) VALUES ($1, $2, 0)
        ON CONFLICT (topic, partition) DO UPDATE SET next_offset = c.next_offset
        RETURNING next_offset
        """,
        topic,
        partition,
    )
    return offset


async def places(db: Connection | Database, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """Where to go on in each partition ever consumed here."""
    rows = await db.fetch("SELECT * FROM consumed WHERE topic = ANY($1::text[])", list(topics))
    return {(r["topic"], r["partition"]): r["next_offset"] for r in rows}


async def applied(db: Connection, topic: str, subjects: Iterable[str]) -> dict[str, int]:
    """The newest sequence applied for each of these aggregates, as far as known."""
    rows = await db.fetch(
        "SELECT subject, sequence FROM applied WHERE topic = $1 AND subject = ANY($2::text[])",
        topic,
        list(subjects),
    )
    return {r["subject"]: r["sequence"] for r in rows}


async def remember(db: Connection, topic: str, newest: Mapping[str, int]) -> None:
    """Note the newest sequences applied."""
    if not newest:
        return
    await db.execute(
        """
        INSERT INTO applied AS a (topic, subject, sequence)
        SELECT $1, subject, sequence FROM unnest($2::text[], $3::bigint[]) AS n (subject, sequence)
        ON CONFLICT (topic, subject) DO UPDATE SET sequence = excluded.sequence
         WHERE a.sequence < excluded.sequence
        """,
        topic,
        list(newest),
        list(newest.values()),
    )


async def leave(
    db: Connection, topic: str, partition: int, *, next_offset: int, newest: Mapping[str, int]
) -> None:
    """Remember what was applied and where to go on: with the handlers' writes or not at all."""
    await remember(db, topic, newest)
    await db.execute(
        "UPDATE consumed SET next_offset = $3 WHERE topic = $1 AND partition = $2",
        topic,
        partition,
        next_offset,
    )


async def quarantine(
    db: Connection,
    *,
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]],
    error: str,
) -> None:
    """Keep a record that cannot be handled, as it came."""
    await db.execute(
        """
        INSERT INTO quarantine (topic, partition, record, key, value, headers, error)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
        """,
        topic,
        partition,
        offset,
        key,
        value,
        [[name.replace("\0", "\ufffd"), _kept(raw)] for name, raw in headers],
        error[:2000].replace("\0", "\ufffd"),
    )


def _kept(raw: bytes | None) -> object:
    """The value of a header as JSON that Postgres takes: text where it is text."""
    if raw is None:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"base64": b64encode(raw).decode()} if "\0" in text else text


def as_it_came(kept: Sequence[tuple[str, Any]]) -> list[tuple[str, bytes | None]]:
    """The headers that `quarantine` kept."""
    return [(name, _came(value)) for name, value in kept]


def _came(value: Any) -> bytes | None:
    if isinstance(value, Mapping):
        return b64decode(value["base64"])
    return None if value is None else str(value).encode()
