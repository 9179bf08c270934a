"""Rebuilding: the whole read model made again from the topics, while the service goes on.

Read everything; fold; copy into shadow tables; catch up with what came meanwhile; then, for the
blink in which the places are locked, take in the rest and swap. Nothing is lost or applied twice:
places, sequences and rows change hands in one transaction.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from availability.config import AvailabilitySettings
from availability.jobs import shadow
from availability.jobs.fold import Fold
from hoop_events.base import Event
from hoop_platform.db.database import CONTENTION, Database, Tx
from hoop_platform.kafka.log_reader import LogReader, PartitionKey, open_log_reader

FEW = 500
"""So many events may be left to be taken in while the places are locked."""
LOCKED_SECONDS = 0.8
TRIES = 50
IN_THE_WAY: tuple[type[Exception], ...] = (TimeoutError, *CONTENTION)
ONE_AT_A_TIME = 727_002
SAY_SECONDS = 1.0


class RebuildFailed(SystemExit):
    """It cannot be done now; the model in use is as it was."""


async def rebuild(settings: AvailabilitySettings, types: Iterable[type[Event]]) -> int:
    """Do it, with progress on standard error; answers the exit status."""
    dsn = settings.database_url.get_secret_value()
    database = await Database.open(dsn, name="availability-rebuild", pool_size=4)
    fold = Fold(types)
    try:
        async with (
            _alone(database),
            open_log_reader(settings.kafka_bootstrap, tuple(fold.newest)) as reader,
        ):
            await Rebuild(database, reader, fold).run()
    finally:
        await database.close()
    return 0


class Rebuild:
    """One rebuild on its way."""

    def __init__(self, database: Database, reader: LogReader, fold: Fold) -> None:
        self._database = database
        self._reader = reader
        self._fold = fold
        self._begun = self._said = time.monotonic()

    async def run(self) -> None:
        """From the first record to the swap."""
        await self._read(await self._reader.end_offsets())
        self._say("writing")
        await shadow.lay(self._database)
        async with asyncio.TaskGroup() as both:
            both.create_task(shadow.fill_occupied(self._database, self._fold))
            both.create_task(shadow.fill_applied(self._database, self._fold))
        self._fold.written()
        locked = await self._catch_up_and_swap()
        self._say(f"done, places locked for {locked * 1000:.0f} ms")
        for text in self._fold.refused:
            self._tell(f"not an event of ours: {text}")

    async def _catch_up_and_swap(self) -> float:
        async with _unvacuumed(self._database):
            for _ in range(TRIES):
                await self._catch_up()
                try:
                    return await self._swap()
                except IN_THE_WAY:
                    self._say("somebody was in the way, again")
        raise RebuildFailed("the places could not be locked; the read model is as it was")

    async def _catch_up(self) -> None:
        """Write down what came meanwhile, until little is left."""
        while True:
            ends = await self._reader.end_offsets()
            left = sum(end - self._reader.positions[place] for place, end in ends.items())
            await self._read(ends)
            async with self._database.transaction() as db:
                await shadow.add(db, self._fold)
            self._fold.written()
            if left < FEW:
                return

    async def _swap(self) -> float:
        """Lock the places, come to where the live model is, and take over; the seconds it took."""
        async with self._database.transaction() as db, asyncio.timeout(LOCKED_SECONDS):
            await db.execute("SET LOCAL lock_timeout = '500ms'")
            live = await self._lock(db)
            begun = time.monotonic()
            ends = await self._reader.end_offsets()
            ahead = {place: at for place, at in live.items() if at <= ends.get(place, 0)}
            await self._read(ahead)
            await shadow.add(db, self._fold)
            await shadow.swap(db, self._reader.positions)
        self._fold.written()
        return time.monotonic() - begun

    async def _lock(self, db: Tx) -> dict[PartitionKey, int]:
        """Hold all places until the end of the transaction; batches at hand are waited for."""
        places = self._reader.positions
        await db.executemany(
            "INSERT INTO consumer_offset VALUES ($1, $2, 0) ON CONFLICT DO NOTHING", sorted(places)
        )
        rows = await db.fetch(
            """
            SELECT * FROM consumer_offset WHERE topic = ANY ($1::text[])
             ORDER BY topic, partition FOR UPDATE
            """,
            sorted({topic for topic, _ in places}),
        )
        return {(r["topic"], r["partition"]): r["next_offset"] for r in rows}

    async def _read(self, ends: Mapping[PartitionKey, int]) -> None:
        total = self._fold.count + sum(
            max(0, e - self._reader.positions[p]) for p, e in ends.items()
        )
        async for topic, records in self._reader.read_until(ends):
            self._fold.take(topic, records)
            if time.monotonic() - self._said > SAY_SECONDS:
                self._say(f"of {total}")

    def _say(self, what: str) -> None:
        self._said = time.monotonic()
        took = self._said - self._begun
        speed = self._fold.count / max(took, 0.001)
        self._tell(f"{self._fold.count} events in {took:.1f} s ({speed:,.0f}/s): {what}")

    def _tell(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")


@asynccontextmanager
async def _alone(database: Database) -> AsyncIterator[None]:
    """One rebuild at a time."""
    async with database.pool.acquire() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", ONE_AT_A_TIME):
            raise RebuildFailed("another rebuild is on its way")
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", ONE_AT_A_TIME)


@asynccontextmanager
async def _unvacuumed(database: Database) -> AsyncIterator[None]:
    """No autovacuum holds the old tables just when they are to be swapped; they are dropped then."""
    await _vacuum(database, shadow.TABLES, allowed=False)
    try:
        yield
    except BaseException:
        await _vacuum(database, shadow.TABLES, allowed=True)
        raise


async def _vacuum(database: Database, tables: Sequence[str], *, allowed: bool) -> None:
    deed = "RESET (autovacuum_enabled)" if allowed else "SET (autovacuum_enabled = false)"
    for table in tables:
        await database.execute(f"ALTER TABLE {table} {deed}")
