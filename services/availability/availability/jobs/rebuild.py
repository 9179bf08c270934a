"""Rebuilding the whole read model from the topics, while the service goes on.

Read and fold all records; copy the result into shadow tables; catch up with records that came
meanwhile; then lock the offsets for a moment, apply the rest and swap the tables. Nothing is lost
or applied twice: offsets, sequences and rows are replaced in one transaction.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from availability.config import AvailabilitySettings
from availability.jobs import shadow
from availability.jobs.log_fold import LogFold
from hoop_events.base import Event
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.kafka.log_reader import LogReader, PartitionKey, open_log_reader

FEW = 500
"""Events that may be left to apply while the offsets are locked."""
LOCKED_SECONDS = 0.8
TRIES = 50
RETRYABLE: tuple[type[Exception], ...] = (TimeoutError, *CONTENTION)
ADVISORY_LOCK = 727_002
PROGRESS_SECONDS = 1.0


class RebuildFailed(SystemExit):
    """The rebuild is not possible now; the read model in use is unchanged."""


async def rebuild(settings: AvailabilitySettings, types: Iterable[type[Event]]) -> int:
    """Rebuild, with progress on standard error; returns the exit status. Raises RebuildFailed."""
    dsn = settings.database_url.get_secret_value()
    database = await Database.open(dsn, name="availability-rebuild", pool_size=4)
    fold = LogFold(types)
    try:
        async with (
            _only_one(database),
            open_log_reader(settings.kafka_bootstrap, tuple(fold.newest)) as reader,
        ):
            await Rebuild(database, reader, fold).run()
    finally:
        await database.close()
    return 0


class Rebuild:
    """One running rebuild."""

    def __init__(self, database: Database, reader: LogReader, fold: LogFold) -> None:
        self._database = database
        self._reader = reader
        self._fold = fold
        self._started = self._reported = time.monotonic()

    @property
    def _offsets(self) -> Mapping[PartitionKey, int]:
        """The next offset of each partition to be read."""
        return self._reader.positions

    async def run(self) -> None:
        """Everything from the first record to the swap."""
        await self._read(await self._reader.end_offsets())
        self._report("writing")
        await shadow.create_tables(self._database)
        async with asyncio.TaskGroup() as both:
            both.create_task(shadow.copy_rows(self._database, self._fold))
            both.create_task(shadow.copy_sequences(self._database, self._fold))
        self._fold.mark_written()
        locked = await self._catch_up_and_swap()
        self._report(f"done, offsets locked for {locked * 1000:.0f} ms")
        for text in self._fold.undecodable:
            self._print(f"not an event of ours: {text}")

    async def _catch_up_and_swap(self) -> float:
        async with _autovacuum_off(self._database):
            for _ in range(TRIES):
                await self._catch_up()
                try:
                    return await self._swap()
                except RETRYABLE:
                    self._report("locks not granted in time, retrying")
        raise RebuildFailed("the offsets could not be locked; the read model is unchanged")

    async def _catch_up(self) -> None:
        """Write what was appended meanwhile, until little is left."""
        while True:
            ends = await self._reader.end_offsets()
            left = sum(end - self._offsets[partition] for partition, end in ends.items())
            await self._read(ends)
            async with self._database.transaction() as db:
                await shadow.apply_changes(db, self._fold)
            self._fold.mark_written()
            if left < FEW:
                return

    async def _swap(self) -> float:
        """Lock the offsets, read up to them, and swap the tables; returns the seconds it took."""
        async with self._database.transaction() as db, asyncio.timeout(LOCKED_SECONDS):
            await db.execute("SET LOCAL lock_timeout = '500ms'")
            live = await self._lock_offsets(db)
            started = time.monotonic()
            ends = await self._reader.end_offsets()
            reachable = {key: offset for key, offset in live.items() if offset <= ends.get(key, 0)}
            await self._read(reachable)
            await shadow.apply_changes(db, self._fold)
            await shadow.swap(db, self._offsets)
        self._fold.mark_written()
        return time.monotonic() - started

    async def _lock_offsets(self, db: Tx) -> dict[PartitionKey, int]:
        """Lock all offsets until the end of the transaction, after the batches that are running."""
        await db.executemany(
            "INSERT INTO consumer_offset VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
            sorted(self._offsets),
        )
        rows = await db.fetch(
            """
            SELECT * FROM consumer_offset WHERE topic = ANY ($1::text[])
             ORDER BY topic, partition FOR UPDATE
            """,
            sorted({topic for topic, _ in self._offsets}),
        )
        return {(r["topic"], r["partition"]): r["next_offset"] for r in rows}

    async def _read(self, ends: Mapping[PartitionKey, int]) -> None:
        left = sum(max(0, end - self._offsets[partition]) for partition, end in ends.items())
        total = self._fold.count + left
        async for topic, records in self._reader.read_until(ends):
            self._fold.add(topic, records)
            if time.monotonic() - self._reported > PROGRESS_SECONDS:
                self._report(f"of {total}")

    def _report(self, what: str) -> None:
        self._reported = time.monotonic()
        took = self._reported - self._started
        speed = self._fold.count / max(took, 0.001)
        self._print(f"{self._fold.count} events in {took:.1f} s ({speed:,.0f}/s): {what}")

    def _print(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")


@asynccontextmanager
async def _only_one(database: Database) -> AsyncIterator[None]:
    """Hold the advisory lock of rebuilds; raises RebuildFailed if another one holds it."""
    async with database.pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_LOCK):
            raise RebuildFailed("another rebuild is running")
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", ADVISORY_LOCK)


@asynccontextmanager
async def _autovacuum_off(database: Database) -> AsyncIterator[None]:
    """Keep autovacuum off the old tables, which it could hold just when they are to be dropped."""
    await _set_autovacuum(database, shadow.TABLES, enabled=False)
    try:
        yield
    except BaseException:
        await _set_autovacuum(database, shadow.TABLES, enabled=True)
        raise


async def _set_autovacuum(database: Database, tables: Sequence[str], *, enabled: bool) -> None:
    action = "RESET (autovacuum_enabled)" if enabled else "SET (autovacuum_enabled = false)"
    for table in tables:
        await database.execute(f"ALTER TABLE {table} {action}")
