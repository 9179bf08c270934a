"""Replaying dead letters: each record is handled once more, after the cause was mended."""

from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord

from hoop_platform.clock import Clock
from hoop_platform.db.database import Database, Row
from hoop_platform.kafka import dead_letters
from hoop_platform.kafka.batch import BatchHandler, Subscriptions
from hoop_platform.logs import cause


@dataclass
class ReplayResult:
    """How many records were handled (or were old by now), and which fail still."""

    done: int
    failures: list[str]


async def replay(database: Database, subscriptions: Subscriptions, clock: Clock) -> ReplayResult:
    """Handle each dead letter in a transaction of its own, the oldest first.

    May run beside the service: the partition's offset is locked meanwhile, and the inbox drops
    events that are not newer.
    """
    rows = await dead_letters.list_dead_letters(database)
    batches, result = BatchHandler(database, subscriptions, clock), ReplayResult(0, [])
    for row in rows:
        try:
            await _replay_one(database, batches, row)
        except Exception as error:  # noqa: BLE001 -- the record stays a dead letter, and the caller is told
            position = f"{row['topic']}/{row['partition']}/{row['record_offset']}"
            result.failures.append(f"{position}: {cause(error)}")
        else:
            result.done += 1
    return result


async def _replay_one(database: Database, batches: BatchHandler, row: Row) -> None:
    async with database.transaction() as db:
        await batches.replay_one(db, _record(row))
        await dead_letters.delete_dead_letter(
            db, row["topic"], row["partition"], row["record_offset"]
        )


def _record(row: Row) -> ConsumerRecord[bytes, bytes]:
    # Values may be None, whatever the type says.
    headers: Any = tuple(dead_letters.original_headers(row["headers"]))
    return ConsumerRecord(
        topic=row["topic"],
        partition=row["partition"],
        offset=row["record_offset"],
        timestamp=0,
        timestamp_type=0,
        key=row["key"],
        value=row["value"],
        checksum=None,
        serialized_key_size=len(row["key"] or b""),
        serialized_value_size=len(row["value"] or b""),
        headers=headers,
    )
