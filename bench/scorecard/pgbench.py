"""PostgreSQL's own benchmark on the server that is measured: the least that a booking writes."""

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from local.servers.process import ENVIRONMENT

from . import cpu
from .alone import DRIVER_CORE, Ground
from .plan import Broken

CLIENTS = 8
SIZE = 620
"""Bytes of an event as ours are, envelope included."""
GRACE = 60.0  # seconds that it may take longer than asked for
TABLES = """
    CREATE TABLE appointment (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        host int NOT NULL, starts timestamptz NOT NULL, state bytea NOT NULL
    );
    CREATE INDEX ON appointment (host, starts);
    CREATE TABLE outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL
    );
"""
SCRIPT = r"""
\set host random(1, 1000)
\set minutes random(0, 43200)
WITH booked AS (
    INSERT INTO appointment (host, starts, state)
    VALUES (:host, timestamptz '2032-03-01' + :minutes * interval '1 minute', :event)
)
INSERT INTO outbox (body) VALUES (:event);
"""
_SAID = re.compile(
    r"actually processed: (?P<done>\d+).*latency average = (?P<ms>[\d.]+) ms"
    r".*tps = (?P<tps>[\d.]+) \(without",
    re.DOTALL,
)


@dataclass(frozen=True)
class Tally:
    """What one run found. `apart`, `cpu`: seconds for each transaction, on the clock and of the server."""

    apart: float
    cpu: float
    ms: float
    """Of a transaction, on average."""


@dataclass(frozen=True)
class Bench:
    """The program, and a database of its own on the server that is measured."""

    program: Path
    script: Path
    dsn: str
    server_pid: int

    async def burst(self, *, seconds: float) -> Tally:
        """Both inserts in one prepared statement, by eight at the same time; in whole seconds."""
        before = cpu.used({"server": self.server_pid})["server"]
        said = await self._run(max(1, round(seconds)))
        after = cpu.used({"server": self.server_pid})["server"]
        done, ms, tps = understood(said)
        return Tally(1 / tps, max(after - before, 1e-9) / done, ms)

    async def _run(self, seconds: int) -> str:
        options = ["--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", f"--time={seconds}"]
        program = await asyncio.create_subprocess_exec(
            self.program,
            *options,
            f"--define=event={'x' * SIZE}",
            f"--file={self.script}",
            env=ENVIRONMENT | _whereto(self.dsn),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            os.sched_setaffinity(program.pid, {DRIVER_CORE})
            async with asyncio.timeout(seconds + GRACE):
                said, why = await program.communicate()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        if program.returncode:
            raise Broken(f"pgbench failed: {why.decode(errors='replace')[-2000:]}")
        return said.decode()


def understood(said: str) -> tuple[int, float, float]:
    """Out of its report: transactions, milliseconds of one, transactions a second."""
    found = _SAID.search(said)
    if found is None:
        raise Broken(f"pgbench said what nobody understands:\n{said}")
    return int(found["done"]), float(found["ms"]), float(found["tps"])


def _whereto(dsn: str) -> dict[str, str]:
    """The address as PostgreSQL's programs are told it: not by their arguments, which others can read."""
    parts = urlsplit(dsn)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port),
        "PGUSER": parts.username or "",
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }


async def ready(under: Ground) -> Bench | None:
    """Prepare it; None where PostgreSQL was installed without it."""
    program = under.binaries / "pgbench"
    if not program.is_file():
        return None
    dsn = await under.empty_database("pgbench")
    database = await asyncpg.connect(dsn, timeout=10)
    try:
        await database.execute(TABLES)
    finally:
        await database.close(timeout=5)
    script = under.folder / "booking.sql"
    script.write_text(SCRIPT)
    return Bench(program, script, dsn, under.pids["postgres"])
