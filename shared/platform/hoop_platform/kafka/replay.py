"""Replaying: what was set aside is handled once more, after its cause was mended."""

from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from hoop_platform.clock import Clock
from hoop_platform.db.database import Database, Row
from hoop_platform.kafka import dead_letters, inbox
from hoop_platform.kafka.batch import BatchHandler, Subscriptions
from hoop_platform.logs import cause


@dataclass
class Replayed:
    """How many were handled (or were old news by now), and what still fails."""

    done: int
    failures: list[str]


async def replay(database: Database, subscriptions: Subscriptions, clock: Clock) -> Replayed:
    """Handle each quarantined record in a transaction of its own, the oldest first.

    May run beside the service: the partition's place is locked meanwhile, and the gate drops what
    is not newer.
    """
    rows = await database.fetch("SELECT * FROM dead_letter ORDER BY topic, partition, record")
    batches, result = BatchHandler(database, subscriptions, clock), Replayed(0, [])
    for row in rows:
        try:
            await _once_more(database, batches, row)
        except Exception as error:  # noqa: BLE001 -- it stays in quarantine, and the caller is told
            where = f"{row['topic']}/{row['partition']}/{row['record']}"
            result.failures.append(f"{where}: {cause(error)}")
        else:
            result.done += 1
    return result


async def _once_more(database: Database, batches: BatchHandler, row: Row) -> None:
    async with database.transaction() as db:
        await inbox.lock_offset(db, row["topic"], row["partition"])
        await batches.again(db, _record(row))
        await db.execute(
            "DELETE FROM dead_letter WHERE topic = $1 AND partition = $2 AND record = $3",
            row["topic"],
            row["partition"],
            row["record"],
        )


def _record(row: Row) -> ConsumerRecord[bytes, bytes]:
    # values may be None, whatever its type says
    headers: Any = tuple(dead_letters.original_headers(row["headers"]))
    return ConsumerRecord(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["record"],
        timestamp=0,
        timestamp_type=0,
        key=row["key"],
        value=row["value"],
        checksum=None,
        serialized_key_size=len(row["key"] or b""),
        serialized_value_size=len(row["value"] or b""),
        headers=headers,
    )
