"""The inbox of a consumer: offsets and applied sequences, stored in the transaction of the handlers.

So no event is applied twice, none out of order, and none by a consumer that lost its partition.
"""

from collections.abc import Iterable, Mapping

from hoop_platform.db.database import Database, Tx


async def lock_offset(db: Tx, topic: str, partition: int) -> int:
    """Lock the partition for this transaction; returns the next offset to handle."""
    offset: int = await db.fetchval(
        """
        INSERT INTO consumer_offset AS c (topic, partition, next_offset) VALUES ($1, $2, 0)
        ON CONFLICT (topic, partition) DO UPDATE SET next_offset = c.next_offset
        RETURNING next_offset
        """,
        topic,
        partition,
    )
    return offset


async def list_offsets(db: Tx | Database, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """The next offset of each partition of these topics that was ever consumed here."""
    rows = await db.fetch(
        "SELECT * FROM consumer_offset WHERE topic = ANY($1::text[])", list(topics)
    )
    return {(r["topic"], r["partition"]): r["next_offset"] for r in rows}


async def list_applied(db: Tx, topic: str, subjects: Iterable[str]) -> dict[str, int]:
    """The newest sequence applied of each of these aggregates; those never seen are absent."""
    rows = await db.fetch(
        "SELECT subject, sequence FROM applied_event WHERE topic = $1 AND subject = ANY($2::text[])",
        topic,
        list(subjects),
    )
    return {r["subject"]: r["sequence"] for r in rows}


async def save_applied(db: Tx, topic: str, newest: Mapping[str, int]) -> None:
    """Store the newest sequences applied; an older one never replaces a newer one."""
    if not newest:
        return
    await db.execute(
        """
        INSERT INTO applied_event AS a (topic, subject, sequence)
        SELECT $1, subject, sequence FROM unnest($2::text[], $3::bigint[]) AS n (subject, sequence)
        ON CONFLICT (topic, subject) DO UPDATE SET sequence = excluded.sequence
         WHERE a.sequence < excluded.sequence
        """,
        topic,
        list(newest),
        list(newest.values()),
    )


async def save_offset(
    db: Tx, topic: str, partition: int, *, next_offset: int, newest: Mapping[str, int]
) -> None:
    """Store the next offset and the sequences applied, with the handlers' writes or not at all."""
    await save_applied(db, topic, newest)
    await db.execute(
        "UPDATE consumer_offset SET next_offset = $3 WHERE topic = $1 AND partition = $2",
        topic,
        partition,
        next_offset,
    )
