"""The versions of whatever can be taken: they grow with each change of what is free there."""

from collections.abc import Iterable

from hoop_platform.db.database import Tx

_KNOW = """
    INSERT INTO resource (account_id, id)
    SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id ON CONFLICT DO NOTHING
"""
_LOCK = """
    SELECT FROM resource WHERE account_id = $1 AND id = ANY ($2::uuid[])
     ORDER BY id FOR NO KEY UPDATE
"""
_TOUCH = """
    UPDATE resource SET version = version + 1
     WHERE account_id = $1 AND id = ANY ($2::uuid[]) RETURNING id, version
"""


async def lock(
    db: Tx, account_id: str, *, calendars: Iterable[str], others: Iterable[str] = ()
) -> None:
    """Keep everybody else from taking or leaving these until this transaction ends.

    Calendars first, then the rest by id: the one order in which everybody locks.
    """
    first = {*calendars}
    await db.execute(_LOCK, account_id, sorted(first))
    await db.execute(_LOCK, account_id, sorted({*others} - first))


async def touch(
    db: Tx, account_id: str, *, calendars: Iterable[str], others: Iterable[str] = ()
) -> dict[str, int]:
    """Whatever was decided on the old state of these is to be decided again; their new versions."""
    first, rest = {*calendars}, {*others}
    await db.execute(_KNOW, account_id, sorted(first | rest))
    await lock(db, account_id, calendars=first, others=rest)
    rows = await db.fetch(_TOUCH, account_id, sorted(first | rest))
    return {row["id"]: row["version"] for row in sorted(rows, key=lambda row: str(row["id"]))}
