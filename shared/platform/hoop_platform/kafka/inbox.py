"""The inbox of a consumer: offsets and applied sequences, stored in the transaction of the handlers.

So no event is applied twice, none out of order, and none by a consumer that lost its partition. A
batch enters it with one statement and leaves it with one.
"""

from collections.abc import Iterable, Mapping

from hoop_platform.db.database import Database, Tx


async def enter_batch(
    db: Tx, topic: str, partition: int, subjects: Iterable[str]
) -> tuple[int, dict[str, int]]:
    """Lock the partition for this transaction.

    Returns the next offset to handle, and the newest sequence applied of each of these aggregates;
    those never seen are absent.
    """
    row = await db.fetchrow(
        "SELECT * FROM enter_batch($1, $2, $3)", topic, partition, list(subjects)
    )
    assert row is not None
    return row["next_offset"], dict(zip(row["subjects"] or (), row["sequences"] or (), strict=True))


async def leave_batch(
    db: Tx | Database, topic: str, partition: int, *, next_offset: int, newest: Mapping[str, int]
) -> bool:
    """Store the next offset and the sequences applied, with the handlers' writes or not at all.

    An older offset or sequence never replaces a newer one. Returns whether the offset was older.
    """
    moved: bool = await db.fetchval(
        "SELECT leave_batch($1, $2, $3, $4, $5)",
        topic,
        partition,
        next_offset,
        list(newest),
        list(newest.values()),
    )
    return moved


async def list_offsets(db: Tx | Database, topics: Iterable[str]) -> dict[tuple[str, int], int]:
    """The next offset of each partition of these topics that was ever consumed here."""
    rows = await db.fetch(
        "SELECT * FROM consumer_offset WHERE topic = ANY($1::text[])", list(topics)
    )
    return {(r["topic"], r["partition"]): r["next_offset"] for r in rows}


async def get_offsets(
    db: Tx | Database, partitions: Iterable[tuple[str, int]]
) -> dict[tuple[str, int], int]:
    """The next offset of each of these partitions that was ever consumed here."""
    wanted = list(partitions)
    rows = await db.fetch(
        """
        SELECT p.topic, p.partition, newest.next_offset
          FROM unnest($1::text[], $2::int[]) AS p (topic, partition),
               LATERAL (SELECT c.next_offset FROM consumer_offset AS c
                         WHERE c.topic = p.topic AND c.partition = p.partition
                         ORDER BY c.next_offset DESC LIMIT 1) AS newest
        """,
        [topic for topic, _ in wanted],
        [partition for _, partition in wanted],
    )
    return {(r["topic"], r["partition"]): r["next_offset"] for r in rows}
