"""Dead letters: records that could not be handled, kept as they arrived until they are replayed."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from hoop_platform.db.database import Tx


async def insert_dead_letter(
    db: Tx,
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
        INSERT INTO dead_letter (topic, partition, record, key, value, headers, error)
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


def original_headers(kept: Sequence[tuple[str, Any]]) -> list[tuple[str, bytes | None]]:
    """The headers that `quarantine` kept."""
    return [(name, _came(value)) for name, value in kept]


def _came(value: Any) -> bytes | None:
    if isinstance(value, Mapping):
        return b64decode(value["base64"])
    return None if value is None else str(value).encode()
