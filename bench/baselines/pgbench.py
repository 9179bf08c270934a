"""PostgreSQL's own benchmark on the measured server: the least that a booking has to write."""

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from bench.report.findings import Broken
from bench.systems import cpu_time
from bench.systems.single_service import DRIVER_CORE, Servers
from local.servers.process import ENVIRONMENT

CLIENTS = 8
SIZE = 620
"""Bytes of an event, about as many as ours have, envelope included."""
GRACE = 60.0  # seconds that a run may take longer than requested
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
_REPORT = re.compile(
    r"actually processed: (?P<done>\d+).*latency average = (?P<ms>[\d.]+) ms"
    r".*tps = (?P<tps>[\d.]+) \(without",
    re.DOTALL,
)


@dataclass(frozen=True)
class Tally:
    """The result of one run, for each transaction: wall-clock seconds, and CPU seconds of the server."""

    seconds_each: float
    cpu: float
    ms: float
    """Latency of a transaction, on average."""


@dataclass(frozen=True)
class PgBench:
    """The installed program, and its database on the measured server."""

    program: Path
    script: Path
    dsn: str
    server_pid: int

    async def burst(self, *, seconds: float) -> Tally:
        """Run both inserts in one prepared statement, with eight clients, for whole seconds."""
        before = cpu_time.used({"server": self.server_pid})["server"]
        report = await self._run(max(1, round(seconds)))
        after = cpu_time.used({"server": self.server_pid})["server"]
        done, ms, tps = parse_report(report)
        return Tally(1 / tps, max(after - before, 1e-9) / done, ms)

    async def _run(self, seconds: int) -> str:
        options = ["--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", f"--time={seconds}"]
        program = await asyncio.create_subprocess_exec(
            self.program,
            *options,
            f"--define=event={'x' * SIZE}",
            f"--file={self.script}",
            env=ENVIRONMENT | _connection_settings(self.dsn),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            os.sched_setaffinity(program.pid, {DRIVER_CORE})
            async with asyncio.timeout(seconds + GRACE):
                stdout, stderr = await program.communicate()
        finally:
            if program.returncode is None:
                program.kill()
                await program.wait()
        if program.returncode:
            raise Broken(f"pgbench failed: {stderr.decode(errors='replace')[-2000:]}")
        return stdout.decode()


def parse_report(report: str) -> tuple[int, float, float]:
    """Return the number of transactions, milliseconds of one, and transactions a second."""
    found = _REPORT.search(report)
    if found is None:
        raise Broken(f"the report of pgbench has an unknown format:\n{report}")
    return int(found["done"]), float(found["ms"]), float(found["tps"])


def _connection_settings(dsn: str) -> dict[str, str]:
    """Return the DSN as PostgreSQL's environment variables: arguments of a process are public."""
    parts = urlsplit(dsn)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port),
        "PGUSER": parts.username or "",
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }


async def prepare(servers: Servers) -> PgBench | None:
    """Create the tables; return None where PostgreSQL was installed without pgbench."""
    program = servers.binaries / "pgbench"
    if not program.is_file():
        return None
    dsn = await servers.empty_database("pgbench")
    database = await asyncpg.connect(dsn, timeout=10)
    try:
        await database.execute(TABLES)
    finally:
        await database.close(timeout=5)
    script = servers.folder / "booking.sql"
    script.write_text(SCRIPT)
    return PgBench(program, script, dsn, servers.pids["postgres"])
