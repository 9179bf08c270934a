"""The baseline of a rebuild, as a program: read the topics, fold in memory, COPY, create the index.

Writes the number of events that it read to standard output. It validates nothing, and stores no
offsets to continue from: the least work that gives the same rows.
"""

import gc
import sys
from typing import Any

import asyncpg
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

TOPICS = ("calendars", "appointments")
TABLES = """
    CREATE TABLE offered (id bytea NOT NULL, settings bytea NOT NULL);
    CREATE TABLE busy (resource bytea NOT NULL, starts text NOT NULL, ends text NOT NULL,
                       before int NOT NULL, after int NOT NULL, id bytea NOT NULL,
                       session bytea NOT NULL, calendar bytea NOT NULL);
"""
INDEX = "CREATE INDEX ON busy (resource, starts)"


async def _main(bootstrap: str, dsn: str) -> int:
    async with AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=1 << 22
    ) as consumer:
        known = await consumer._client.fetch_all_metadata()  # noqa: SLF001 -- has no public name
        partitions = [TopicPartition(t, p) for t in TOPICS for p in known.partitions_for_topic(t)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        count, latest = await _fold(consumer, await consumer.end_offsets(partitions))
    database = await asyncpg.connect(dsn)
    await _write(database, latest)
    await database.close()
    return count


async def _fold(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]
) -> tuple[int, dict[bytes, bytes]]:
    """Return the number of records, and the last value of each key, not decoded yet."""
    latest: dict[bytes, bytes] = {}
    left = {partition for partition, end in ends.items() if end}
    count = 0
    while left:
        for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
            count += len(records)
            latest.update((record.key, record.value) for record in records)  # type: ignore[misc] # every record has a key and a value
            if records[-1].offset + 1 >= ends[partition]:
                left.discard(partition)
    return count, latest


async def _write(database: asyncpg.Connection, latest: dict[bytes, bytes]) -> None:
    await database.execute(TABLES)
    calendar_records: list[tuple[object, ...]] = []
    busy: list[tuple[object, ...]] = []
    for value in latest.values():
        one = orjson.loads(value)["state"]
        if "settings" in one:
            calendar_records.append((_raw(one["id"]), orjson.dumps(one["settings"])))
        elif one["occupies"]:
            busy += _rows(one)
    await database.copy_records_to_table("offered", records=calendar_records)
    await database.copy_records_to_table("busy", records=busy)
    await database.execute(INDEX)


def _rows(one: dict[str, Any]) -> list[tuple[object, ...]]:
    rest = (_raw(one["id"]), _raw(one["session"]), _raw(one["calendarId"]))
    when = (one["startTime"], one["endTime"], one["bufferBefore"], one["bufferAfter"])
    return [(_raw(host), *when, *rest) for host in one["hosts"]]


def _raw(text: str) -> bytes:
    return (int(text, 32) >> 2).to_bytes(16, "big")


if __name__ == "__main__":
    gc.disable()  # nothing here makes reference cycles
    sys.stdout.write(str(uvloop.run(_main(*sys.argv[1:]))))
