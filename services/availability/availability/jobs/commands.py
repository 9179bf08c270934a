"""The commands of an operator: rebuild, dump, verify, status."""

import asyncio
import gc
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from availability.config import AvailabilitySettings
from availability.jobs.rebuild import rebuild
from availability.store import snapshot as shots
from hoop_events.base import Event
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database
from hoop_platform.kafka import inbox
from hoop_platform.kafka.log_reader import open_log_reader
from hoop_platform.service.service import Command
from hoop_scheduling.zones import epoch_ms

MOST_DIFFERENCES = 20


def commands(types: Iterable[type[Event]]) -> Mapping[str, Command]:
    """By name. `types` are the events that the read model is made of."""
    heard = tuple(types)

    async def make_again(settings: AvailabilitySettings, _: Sequence[str]) -> int:
        gc.disable()  # there is no garbage in a fold, and looking for it takes a fifth of the time
        return await rebuild(settings, heard)

    async def status(settings: AvailabilitySettings, _: Sequence[str]) -> int:
        return await _status(settings, tuple(dict.fromkeys(event.topic for event in heard)))

    return {"rebuild": make_again, "dump": _dump, "verify": _verify, "status": status}


async def _dump(settings: AvailabilitySettings, words: Sequence[str]) -> int:
    """Write the read model as canonical text to standard output."""
    parser = ArgumentParser("availability dump")
    parser.add_argument("--canonical", action="store_true", required=True)
    _add_at(parser)
    await _out(await _snapshot(settings, parser.parse_args(words)))
    return 0


async def _verify(settings: AvailabilitySettings, words: Sequence[str]) -> int:
    """Compare with what booking says; exit status 1 and the first differences where there are any."""
    parser = ArgumentParser("availability verify")
    parser.add_argument("--against", required=True, help="booking's dump: a file, or - to read it")
    _add_at(parser)
    asked = parser.parse_args(words)
    mine, theirs = await _snapshot(settings, asked), await _read(asked.against)
    found = shots.differences(mine, theirs, most=MOST_DIFFERENCES)
    await _out("".join(f"{line}\n" for line in found).encode())
    verdict = "they differ" if found else f"equal: {len(mine.splitlines())} facts"
    await _out(f"{verdict}\n".encode())
    return 1 if found else 0


def _add_at(parser: ArgumentParser) -> None:
    parser.add_argument("--at", type=int, help="epoch milliseconds; holds count until they expire")


async def _snapshot(settings: AvailabilitySettings, asked: Namespace) -> bytes:
    now = epoch_ms(Clock(settings.clock_offset_file).now())
    database = await _open(settings)
    try:
        return await shots.snapshot(database, at=now if asked.at is None else asked.at)
    finally:
        await database.close()


async def _status(settings: AvailabilitySettings, topics: Sequence[str]) -> int:
    """Where the read model is in each partition, how far behind, and how large."""
    database = await _open(settings)
    try:
        async with open_log_reader(settings.kafka_bootstrap, topics) as reader:
            ends = await reader.end_offsets()
        places = await inbox.list_offsets(database, topics)
        for place, end in sorted(ends.items()):
            at = places.get(place, 0)
            name = f"{place[0]}/{place[1]}"
            await _out(f"{name:24} at {at:>10}  end {end:>10}  lag {end - at:>8}\n".encode())
        for row in await shots.rows_counted(database):
            size = f"{row['bytes'] / 1_048_576:.1f} MiB"
            await _out(f"{row['name']:24} {row['rows']:>10} rows  {size:>12}\n".encode())
    finally:
        await database.close()
    return 0


async def _open(settings: AvailabilitySettings) -> Database:
    return await Database.open(settings.database_url.get_secret_value(), name="availability")


async def _read(source: str) -> bytes:
    if source == "-":
        return await asyncio.to_thread(sys.stdin.buffer.read)
    return await asyncio.to_thread(Path(source).read_bytes)


async def _out(text: bytes) -> None:
    await asyncio.to_thread(_write, text)


def _write(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
