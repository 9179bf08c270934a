"""The floor of a rebuild, as a program: read the topics, fold in memory, COPY, index; no service.

Writes to standard output how many events it read. It checks nothing, knows nothing but
appointments and keeps nothing that it could go on from: the least that gives the same rows.
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
        places = [TopicPartition(t, p) for t in TOPICS for p in known.partitions_for_topic(t)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        count, latest = await _fold(consumer, await consumer.end_offsets(places))
    database = await asyncpg.connect(dsn)
    await _write(database, latest)
    await database.close()
    return count


async def _fold(
    consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]
) -> tuple[int, dict[bytes, bytes]]:
    """The last value of each key, not decoded yet."""
    latest: dict[bytes, bytes] = {}
    left = {place for place, end in ends.items() if end}
    count = 0
    while left:
        for place, records in (await consumer.getmany(timeout_ms=1000)).items():
            count += len(records)
            latest.update((record.key, record.value) for record in records)  # type: ignore[misc] # ours have both
            if records[-1].offset + 1 >= ends[place]:
                left.discard(place)
    return count, latest


async def _write(database: asyncpg.Connection, latest: dict[bytes, bytes]) -> None:
    await database.execute(TABLES)
    offers: list[tuple[object, ...]] = []
    busy: list[tuple[object, ...]] = []
    for value in latest.values():
        one = orjson.loads(value)["state"]
        if "settings" in one:
            offers.append((_raw(one["id"]), orjson.dumps(one["settings"])))
        elif one["occupies"]:
            busy += _rows(one)
    await database.copy_records_to_table("offered", records=offers)
    await database.copy_records_to_table("busy", records=busy)
    await database.execute(INDEX)


def _rows(one: dict[str, Any]) -> list[tuple[object, ...]]:
    rest = (_raw(one["id"]), _raw(one["session"]), _raw(one["calendarId"]))
    when = (one["startTime"], one["endTime"], one["bufferBefore"], one["bufferAfter"])
    return [(_raw(host), *when, *rest) for host in one["hosts"]]


def _raw(text: str) -> bytes:
    return (int(text, 32) >> 2).to_bytes(16, "big")


if __name__ == "__main__":
    gc.disable()  # nothing here goes round in circles
    sys.stdout.write(str(uvloop.run(_main(*sys.argv[1:]))))
