"""The commands of an operator: rebuild, dump, verify, status."""

import asyncio
import gc
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from availability.config import AvailabilitySettings
from availability.domain import diff_lines
from availability.jobs.rebuild import rebuild
from availability.store.dump import get_dump, list_table_sizes
from hoop_events.base import Event
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database
from hoop_platform.kafka import inbox
from hoop_platform.kafka.log_reader import open_log_reader
from hoop_scheduling.zones import epoch_ms

MAX_DIFFERENCES = 20


async def rebuild_read_model(
    types: Sequence[type[Event]], settings: AvailabilitySettings, _: Sequence[str]
) -> int:
    """Rebuild the read model from the topics of these events; returns the exit status."""
    gc.disable()  # folding leaves no garbage, and searching for it takes a fifth of the time
    return await rebuild(settings, types)


async def dump(settings: AvailabilitySettings, words: Sequence[str]) -> int:
    """Write the read model as canonical text to standard output; returns the exit status."""
    parser = ArgumentParser("availability dump")
    parser.add_argument("--canonical", action="store_true", required=True)
    _add_at(parser)
    await _print(await _dump(settings, parser.parse_args(words)))
    return 0


async def verify(settings: AvailabilitySettings, words: Sequence[str]) -> int:
    """Compare with booking's dump; exit status 1 and the first differences if there are any."""
    parser = ArgumentParser("availability verify")
    parser.add_argument("--against", required=True, help="booking's dump: a file, or - to read it")
    _add_at(parser)
    arguments = parser.parse_args(words)
    mine, theirs = await _dump(settings, arguments), await _read(arguments.against)
    found = diff_lines(mine, theirs, limit=MAX_DIFFERENCES)
    await _print("".join(f"{line}\n" for line in found).encode())
    verdict = "they differ" if found else f"equal: {len(mine.splitlines())} facts"
    await _print(f"{verdict}\n".encode())
    return 1 if found else 0


async def status(
    types: Sequence[type[Event]], settings: AvailabilitySettings, _: Sequence[str]
) -> int:
    """Print offset, end and lag of each partition, rows and size of each table."""
    topics = tuple(dict.fromkeys(event.topic for event in types))
    database = await _open(settings)
    try:
        async with open_log_reader(settings.kafka_bootstrap, topics) as reader:
            ends = await reader.end_offsets()
        offsets = await inbox.list_offsets(database, topics)
        for partition, end in sorted(ends.items()):
            offset = offsets.get(partition, 0)
            name = f"{partition[0]}/{partition[1]}"
            line = f"{name:24} at {offset:>10}  end {end:>10}  lag {end - offset:>8}\n"
            await _print(line.encode())
        for row in await list_table_sizes(database):
            size = f"{row['bytes'] / 1_048_576:.1f} MiB"
            await _print(f"{row['name']:24} {row['rows']:>10} rows  {size:>12}\n".encode())
    finally:
        await database.close()
    return 0


def _add_at(parser: ArgumentParser) -> None:
    parser.add_argument("--at", type=int, help="epoch milliseconds; holds count until they expire")


async def _dump(settings: AvailabilitySettings, arguments: Namespace) -> bytes:
    now = epoch_ms(Clock(settings.clock_offset_file).now())
    database = await _open(settings)
    try:
        return await get_dump(database, at=now if arguments.at is None else arguments.at)
    finally:
        await database.close()


async def _open(settings: AvailabilitySettings) -> Database:
    return await Database.open(settings.database_url.get_secret_value(), name="availability")


async def _read(source: str) -> bytes:
    if source == "-":
        return await asyncio.to_thread(sys.stdin.buffer.read)
    return await asyncio.to_thread(Path(source).read_bytes)


async def _print(text: bytes) -> None:
    await asyncio.to_thread(_write, text)


def _write(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.flush()
