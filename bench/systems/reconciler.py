"""The platform's reconciler as a queue of jobs: the one module that knows how a desired state is written and claimed.

Rows are deleted one by one, so that rows leave the versions behind that they leave in production.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Self

from bench.systems.job_queue import CONCURRENCY, OnStart
from bench.systems.single_service import Servers
from hoop_platform.db.database import Database
from hoop_platform.db.migrate import migrate
from hoop_platform.ids import new_id
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Done, Outcome
from hoop_platform.reconcile.work import desire
from hoop_platform.reconcile.worker import Worker

KIND = "bench"
TABLES = ("work",)
"""What VACUUM and ANALYZE are for."""
EACH = 10
"""Desired states of a provider user in a backlog."""
CHANGED = 1000
"""Desired states that change in turn."""
_DUE = datetime(2030, 1, 7, tzinfo=UTC)
_FILL = """
    INSERT INTO work (account_id, kind, subject, provider, provider_user, due_start, desired, desired_sequence)
    SELECT $1, $2, $3 || n, 'bench',
           CASE WHEN $7 AND n % 2 = 0 THEN 'mountain' ELSE 'user-' || n % $5 END,
           $6::timestamptz + n * interval '1 minute', '{"title": "Intake"}', 1
      FROM generate_series(1, $4::int) AS n
"""
_CHANGE = """
    INSERT INTO work AS w (account_id, kind, subject, provider, provider_user, due_start, desired, desired_sequence)
    SELECT $1, $2, 'changed-' || n, 'bench', 'user-' || n, $3, '{"title": "Intake"}', $4
      FROM unnest($5::int[]) AS n
        ON CONFLICT (kind, subject) DO UPDATE
       SET desired = excluded.desired, desired_sequence = excluded.desired_sequence, status = 'due',
           attempts = 0, next_attempt_at = clock_timestamp()
"""


@dataclass
class Reconciler:
    """Desired states in a database of their own, and one worker whose provider agrees at once."""

    database: Database
    account_id: str = field(default_factory=new_id)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    @classmethod
    async def open(cls, servers: Servers, name: str) -> Self:
        """Create the database with the platform's tables."""
        dsn = await servers.empty_database(name)
        await migrate(dsn)
        return cls(await Database.open(dsn, name="bench", pool_size=CONCURRENCY + 4))

    async def close(self) -> None:
        await self.database.close()

    async def fill(self, count: int) -> None:
        await self._fill(count, users=count, mountain=False)

    async def fill_backlog(self, count: int) -> None:
        """Fill with `EACH` desired states of each provider user; half of all belong to one user."""
        await self._fill(count, users=count // EACH, mountain=True)

    async def _fill(self, count: int, *, users: int, mountain: bool) -> None:
        prefix = f"{next(self._numbers)}-"
        values = (self.account_id, KIND, prefix, count, max(users, 1), _DUE, mountain)
        async with self.database.pool.acquire() as db:  # without the time limits of a service
            await db.execute("SET statement_timeout = 0")
            await db.execute("DELETE FROM work", timeout=600)
            await db.execute(_FILL, *values, timeout=600)
            await db.execute("ANALYZE work")
            await db.execute("RESET statement_timeout")

    async def enqueue(self, job: str) -> None:
        state = DesiredState(
            account_id=self.account_id,
            kind=KIND,
            subject=job,
            provider="bench",
            provider_user=f"user-{job}",
            due_start=_DUE,
            desired={"title": "Intake"},
            sequence=next(self._numbers),
        )
        async with self.database.transaction() as db:
            await desire(db, state)

    async def change(self, count: int) -> None:
        """Change the next `count` of `CHANGED` desired states, in one transaction."""
        number = next(self._numbers)
        chosen = [(number * count + one) % CHANGED for one in range(count)]
        async with self.database.transaction() as db:
            await db.execute(_CHANGE, self.account_id, KIND, _DUE, number, chosen)

    @asynccontextmanager
    async def working(self, on_start: OnStart) -> AsyncIterator[None]:
        async def perform(claimed: Claimed) -> Outcome:
            on_start(claimed.desired_state.subject)
            return Done()

        worker = Worker(self.database, {KIND: perform}, concurrency=CONCURRENCY)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.run(stop))
            try:
                yield
            finally:
                stop.set()
                self.database.notify()
