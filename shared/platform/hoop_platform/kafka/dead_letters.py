"""Dead letters: records that could not be handled, stored as they arrived until they are replayed."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.db.values import storable


async def insert_dead_letter(db: Tx, record: ConsumerRecord[bytes, bytes], error: str) -> None:
    """Store a record that cannot be handled; one that is stored already stays as it is."""
    await db.execute(
        """
        INSERT INTO dead_letter (topic, partition, record_offset, key, value, headers, error)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
        """,
        record.topic,
        record.partition,
        record.offset,
        record.key,
        record.value,
        [[name.replace("\0", "\ufffd"), _to_json(raw)] for name, raw in record.headers],
        storable(error[:2000]),
    )


async def list_dead_letters(database: Database) -> Sequence[Row]:
    """All of them, oldest offset first within each partition."""
    return await database.fetch(
        "SELECT * FROM dead_letter ORDER BY topic, partition, record_offset"
    )


async def delete_dead_letter(db: Tx, topic: str, partition: int, offset: int) -> None:
    """Delete one that was handled."""
    await db.execute(
        "DELETE FROM dead_letter WHERE topic = $1 AND partition = $2 AND record_offset = $3",
        topic,
        partition,
        offset,
    )


def original_headers(stored: Sequence[tuple[str, Any]]) -> list[tuple[str, bytes | None]]:
    """The headers of a dead letter as the record had them."""
    return [(name, _from_json(value)) for name, value in stored]


def _to_json(raw: bytes | None) -> object:
    """A header's value as JSON that Postgres can store: text where it is text."""
    if raw is None:
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = "\0"
    return {"base64": b64encode(raw).decode()} if "\0" in text else text


def _from_json(value: Any) -> bytes | None:
    if isinstance(value, Mapping):
        return b64decode(value["base64"])
    return None if value is None else str(value).encode()
