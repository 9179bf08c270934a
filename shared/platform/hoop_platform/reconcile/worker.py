"""Workers: claim desired states that are due, soonest first, one at a time per provider user."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Generic, TypeVar

from hoop_platform import telemetry
from hoop_platform.db.database import CONTENTION, UNAVAILABLE, Database, LeaseLost, Row, Tx
from hoop_platform.failpoints import fp
from hoop_platform.ids import new_id
from hoop_platform.reconcile.desired_state import (
    Claimed,
    DesiredState,
    Done,
    Failed,
    Later,
    Outcome,
)
from hoop_platform.telemetry import cause, log, span
from hoop_platform.timing import until_set

R = TypeVar("R")
Perform = Callable[[R, Claimed], Awaitable[Outcome]]

LEASE = timedelta(seconds=20)
"""Renewed three times as often while the work goes on; so long a claim outlives its worker."""
LONGEST_WORK = timedelta(seconds=40)
"""Nothing is renewed beyond this: at least three times the longest call to a provider."""
LONGEST_WAIT = timedelta(minutes=15)

_ANY = "SELECT EXISTS (SELECT FROM ready_work WHERE kind = $1)"
_CLAIM = """
    WITH soonest AS (
        SELECT DISTINCT ON (provider, provider_user) kind, subject, due_start
          FROM ready_work WHERE kind = $1 ORDER BY provider, provider_user, due_start),
    chosen AS (
        SELECT kind, subject FROM work
         WHERE (kind, subject) IN (SELECT kind, subject FROM soonest ORDER BY due_start LIMIT $4)
           AND status = 'due' AND (lease_until IS NULL OR lease_until < statement_timestamp())
           FOR UPDATE SKIP LOCKED)
    UPDATE work AS w SET lease_token = $2, lease_until = clock_timestamp() + $3::interval,
                         attempts = w.attempts + 1
      FROM chosen WHERE w.kind = chosen.kind AND w.subject = chosen.subject
    RETURNING w.*
"""
_RENEW = """
    UPDATE work SET lease_until = clock_timestamp() + $3::interval
     WHERE kind = $1 AND subject = $2 AND lease_token = $4 AND lease_until > clock_timestamp()
    RETURNING true
"""
_CLOSE = """
    UPDATE work
       SET lease_token = NULL, lease_until = NULL, last_error = $4,
           done_sequence = CASE WHEN $5 = 'due' THEN done_sequence ELSE $6 END,
           attempts = CASE WHEN desired_sequence > $6 OR $5 = 'done' THEN 0 ELSE attempts END,
           status = CASE WHEN desired_sequence > $6 THEN 'due' ELSE $5 END,
           next_attempt_at = CASE WHEN desired_sequence > $6 THEN clock_timestamp()
                ELSE greatest(coalesce($8, clock_timestamp()), clock_timestamp() + $7) END
     WHERE kind = $1 AND subject = $2 AND lease_token = $3
    RETURNING next_attempt_at
"""


class Worker(Generic[R]):
    """Works on the desired states of one kind, at most `concurrency` of them at a time."""

    def __init__(
        self,
        kind: str,
        database: Database,
        runtime: R,
        perform: Perform[R],
        *,
        concurrency: int = 8,
    ) -> None:
        self.kind = kind
        self._database = database
        self._runtime = runtime
        self._perform = perform
        self._concurrency = concurrency
        self._wake = database.subscribe(asyncio.Event())

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop; then nothing is claimed any more, and what was claimed is finished."""
        busy: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as tasks:
            patience = 0.05
            while not stop.is_set():
                self._wake.clear()
                started_at = asyncio.get_running_loop().time()
                claimed = await self._find(self._concurrency - len(busy))
                took = asyncio.get_running_loop().time() - started_at
                for mine in claimed:
                    task = tasks.create_task(self._work_on(mine))
                    busy.add(task)
                    task.add_done_callback(busy.discard)
                    task.add_done_callback(lambda _: self._wake.set())
                if not claimed:
                    # at most half of the time goes into looking
                    await asyncio.sleep(min(took, 0.1))
                patience = 0.05 if claimed else min(patience * 2, 1.0)
                await until_set(self._wake, patience)

    async def _find(self, free: int) -> Sequence[Claimed]:
        """Claim as many as may run; first a cheap query, since most commits bring no work."""
        try:
            if free and await self._database.fetchval(_ANY, self.kind):
                return await self._claim(free)
        except (*UNAVAILABLE, *CONTENTION) as error:
            log.warning("worker waits for postgres", kind=self.kind, error=cause(error))
        return ()

    async def once(self) -> bool:
        """Work on the most urgent desired state; True if there was one."""
        claimed = await self._claim(1)
        for mine in claimed:
            await self._work_on(mine)
        return bool(claimed)

    async def _claim(self, most: int) -> Sequence[Claimed]:
        """One claim at a time in a database, or two workers would claim two states of one user."""
        async with self._database.transaction(notify=False) as db:
            await db.execute("SELECT pg_advisory_xact_lock(727002)")
            rows = await db.fetch(_CLAIM, self.kind, new_id(), LEASE, most)
        return [_claimed(row) for row in rows]

    async def _work_on(self, mine: Claimed) -> None:
        await fp(f"{self.kind}_claimed")
        title = f"{self.kind} {mine.desired_state.provider}"
        attributes = {"hoop.subject": mine.desired_state.subject, "hoop.attempt": mine.attempts}
        with span(title, parent=mine.traceparent, attributes=attributes):
            outcome = await self._try(mine)
            try:
                outcome = await self._store(mine, outcome)
            except LeaseLost:
                log.warning("lease lost", kind=self.kind, subject=mine.desired_state.subject)
        telemetry.reconcile_attempts.labels(
            telemetry.name(), self.kind, type(outcome).__name__.lower()
        ).inc()

    async def _try(self, mine: Claimed) -> Outcome:
        try:
            async with asyncio.timeout(_safely(LEASE)) as limit, self._renewing(mine, limit):
                return await self._perform(self._runtime, mine)
        except UNAVAILABLE as error:
            return Later(cause(error)[:500])
        except Exception as error:  # noqa: BLE001 -- a state that crashes its job is tried again, visibly
            log.error(
                "job failed", kind=self.kind, subject=mine.desired_state.subject, exc_info=error
            )
            return Later(cause(error)[:500])

    @asynccontextmanager
    async def _renewing(self, mine: Claimed, limit: asyncio.Timeout) -> AsyncIterator[None]:
        # No TaskGroup: it would wrap what the work itself raises.
        renewing = asyncio.create_task(self._renew(mine, limit))  # noqa: TID251 -- ends below
        try:
            yield
        finally:
            renewing.cancel()

    async def _renew(self, mine: Claimed, limit: asyncio.Timeout) -> None:
        """Renew the lease while the work goes on; work without a lease is cancelled before it expires."""
        loop = asyncio.get_running_loop()
        longest = loop.time() + LONGEST_WORK.total_seconds()
        while loop.time() < longest:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            asked_at = loop.time()
            with suppress(*UNAVAILABLE, *CONTENTION):
                state = mine.desired_state
                kept = await self._database.fetchval(
                    _RENEW, state.kind, state.subject, LEASE, mine.lease_token
                )
                if not kept or limit.expired():
                    return
                limit.reschedule(asked_at + _safely(LEASE))

    async def _store(self, mine: Claimed, outcome: Outcome) -> Outcome:
        """Store the outcome; without Postgres, try again until the lease has expired."""
        deadline = asyncio.get_running_loop().time() + LEASE.total_seconds()
        while True:
            try:
                await self._complete(mine, outcome)
            except (*UNAVAILABLE, *CONTENTION) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise LeaseLost from error
                log.warning("outcome not recorded yet", kind=self.kind, error=cause(error))
                await asyncio.sleep(0.2)
            except LeaseLost:
                raise
            except Exception as error:
                if outcome.record is None:
                    raise
                log.error(
                    "record failed",
                    kind=self.kind,
                    subject=mine.desired_state.subject,
                    exc_info=error,
                )
                outcome = Later(cause(error)[:500])
            else:
                return outcome

    async def _complete(self, mine: Claimed, outcome: Outcome) -> None:
        async with self._database.transaction() as db:
            await _close(db, mine, outcome)
            if outcome.record is not None:
                await outcome.record(db)
            await fp(f"{self.kind}_recorded")


async def _close(db: Tx, mine: Claimed, outcome: Outcome) -> None:
    """Store the outcome if the lease is still held; a state that changed meanwhile stays due."""
    wait = _wait(mine, outcome)
    changed = await db.fetchrow(
        _CLOSE,
        mine.desired_state.kind,
        mine.desired_state.subject,
        mine.lease_token,
        None if isinstance(outcome, Done) else outcome.reason,
        {Done: "done", Later: "due", Failed: "failed"}[type(outcome)],
        mine.desired_state.sequence,
        wait,
        outcome.at if isinstance(outcome, Later) else None,
    )
    if changed is None:
        raise LeaseLost
    if isinstance(outcome, Later) and outcome.opens_circuit:
        await _open_circuit(db, mine, outcome, wait)


def _safely(lease: timedelta) -> float:
    """Seconds after which work is cancelled, before another worker may claim the state."""
    return lease.total_seconds() * 0.8


def _claimed(row: Row) -> Claimed:
    state = DesiredState(
        account_id=row["account_id"],
        kind=row["kind"],
        subject=row["subject"],
        provider=row["provider"],
        provider_user=row["provider_user"],
        due_start=row["due_start"],
        desired=row["desired"],
        sequence=row["desired_sequence"],
    )
    return Claimed(
        state, row["attempts"], row["lease_token"], row["lease_until"], row["traceparent"]
    )


def _wait(mine: Claimed, outcome: Outcome) -> timedelta:
    """Growing waits, 0.5 s to 15 min, for an outcome that names no time of its own."""
    if not isinstance(outcome, Later) or outcome.at is not None:
        return timedelta()
    return min(timedelta(seconds=0.25 * 2 ** min(mine.attempts, 20)), LONGEST_WAIT)


async def _open_circuit(db: Tx, mine: Claimed, outcome: Later, wait: timedelta) -> None:
    await db.execute(
        """
        INSERT INTO circuit AS c (provider, provider_user, open_until, reason)
        VALUES ($1, $2, greatest(coalesce($4, clock_timestamp()), clock_timestamp() + $5), $3)
        ON CONFLICT (provider, provider_user) DO UPDATE
           SET open_until = greatest(c.open_until, excluded.open_until), reason = excluded.reason
        """,
        mine.desired_state.provider,
        mine.desired_state.provider_user,
        outcome.reason,
        outcome.at,
        wait,
    )
