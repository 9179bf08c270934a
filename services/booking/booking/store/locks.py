"""Locks and versions of everything whose time can be taken: calendars, hosts, rooms, equipment.

A version grows with each change of what is free.
"""

from collections.abc import Iterable

from hoop_platform.db.database import Tx

_INSERT = """
    INSERT INTO bookable (account_id, id)
    SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id ON CONFLICT DO NOTHING
"""
_LOCK = """
    SELECT FROM bookable WHERE account_id = $1 AND id = ANY ($2::uuid[])
     ORDER BY id FOR NO KEY UPDATE
"""
_UPDATE = """
    UPDATE bookable SET version = version + 1
     WHERE account_id = $1 AND id = ANY ($2::uuid[]) RETURNING id, version
"""


async def lock_bookables(
    db: Tx, account_id: str, *, calendars: Iterable[str], others: Iterable[str] = ()
) -> None:
    """Lock these until the transaction ends: no other transaction takes or gives back their time.

    Calendars first, then the others by id: the one order in which locks are taken everywhere.
    """
    first = {*calendars}
    await db.execute(_LOCK, account_id, sorted(first))
    await db.execute(_LOCK, account_id, sorted({*others} - first))


async def update_versions(
    db: Tx, account_id: str, *, calendars: Iterable[str], others: Iterable[str] = ()
) -> dict[str, int]:
    """Lock these and raise their versions, which invalidates snapshots; returns the new versions."""
    first, rest = {*calendars}, {*others}
    await db.execute(_INSERT, account_id, sorted(first | rest))
    await lock_bookables(db, account_id, calendars=first, others=rest)
    rows = await db.fetch(_UPDATE, account_id, sorted(first | rest))
    return {row["id"]: row["version"] for row in sorted(rows, key=lambda row: str(row["id"]))}
