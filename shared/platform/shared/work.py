"""Wishes: how the world outside should be about one subject, and jobs that work until it is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from shared import telemetry
from shared.db import UNAVAILABLE, Connection, Database, Row
from shared.failpoints import fp
from shared.ids import new_id
from shared.telemetry import log, span, traceparent
from shared.waiting import pause

R = TypeVar("R")

LEASE = timedelta(seconds=45)
"""At least three times the longest call to a provider."""
LONGEST_WAIT = timedelta(minutes=15)


@dataclass(frozen=True)
class Wish:
    """What we want of a provider about one subject. A newer `sequence` replaces an older wish.

    `provider` and `principal` name whose patience is spent: the provider's user.
    """

    account_id: str
    kind: str
    subject: str
    provider: str
    principal: str
    due_start: datetime
    desired: dict[str, Any]
    sequence: int


@dataclass(frozen=True)
class Claimed:
    """A wish that is ours alone until `lease_until`."""

    wish: Wish
    attempts: int
    lease_token: str
    lease_until: datetime


@dataclass(frozen=True)
class Done:
    """The world is as wished. `record` writes down what it is now, with the wish's completion."""

    record: Callable[[Connection], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Later:
    """Not now. `at` by the provider's own word, else by growing waits.

    `gate` closes the principal's gate until then: nothing else of it is tried meanwhile.
    """

    reason: str
    at: datetime | None = None
    gate: bool = False
    record: Callable[[Connection], Awaitable[None]] | None = None


@dataclass(frozen=True)
class Failed:
    """It will never work like this; a newer wish may. Said aloud through `record`."""

    reason: str
    record: Callable[[Connection], Awaitable[None]] | None = None


Outcome = Done | Later | Failed
Perform = Callable[[R, Claimed], Awaitable[Outcome]]


class LeaseLost(Exception):
    """Somebody else works on the wish by now; what we did is theirs to find and adopt."""


async def want(db: Connection, wish: Wish) -> bool:
    """Write a wish down, in the transaction of the event that caused it; False when it is old."""
    row = await db.fetchrow(
        """
        INSERT INTO work AS w (account_id, kind, subject, provider, principal, due_start, desired,
                               desired_sequence, traceparent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (kind, subject) DO UPDATE
           SET provider = excluded.provider, principal = excluded.principal,
               due_start = excluded.due_start, desired = excluded.desired,
               desired_sequence = excluded.desired_sequence, traceparent = excluded.traceparent,
               status = 'due', attempts = 0, next_attempt_at = clock_timestamp()
         WHERE w.desired_sequence < excluded.desired_sequence AND w.account_id = excluded.account_id
        RETURNING true
        """,
        wish.account_id,
        wish.kind,
        wish.subject,
        wish.provider,
        wish.principal,
        wish.due_start,
        wish.desired,
        wish.sequence,
        traceparent(),
    )
    return row is not None


async def open_gate(db: Connection, provider: str, principal: str) -> None:
    """Let this principal's wishes be tried at once: it was reconnected."""
    await db.execute("DELETE FROM gate WHERE provider = $1 AND principal = $2", provider, principal)
    await db.execute(
        """
        UPDATE work SET next_attempt_at = clock_timestamp(), status = 'due', attempts = 0
         WHERE provider = $1 AND principal = $2 AND status <> 'done'
        """,
        provider,
        principal,
    )


_CLAIM = """
    UPDATE work SET lease_token = $2, lease_until = clock_timestamp() + $3::interval,
                    attempts = attempts + 1
     WHERE (kind, subject) = (
        SELECT kind, subject FROM work AS w
         WHERE kind = $1 AND status = 'due' AND next_attempt_at <= clock_timestamp()
           AND (lease_until IS NULL OR lease_until < clock_timestamp())
           AND NOT EXISTS (SELECT FROM gate AS g WHERE g.provider = w.provider
                           AND g.principal = w.principal AND g.open_at > clock_timestamp())
           AND NOT EXISTS (SELECT FROM work AS o WHERE o.provider = w.provider
                           AND o.principal = w.principal AND o.lease_until > clock_timestamp())
         ORDER BY due_start LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING *
"""


class Worker(Generic[R]):
    """Works on the wishes of one kind: soonest appointment first, one at a time per principal."""

    def __init__(
        self, kind: str, database: Database, runtime: R, perform: Perform[R], *, hands: int = 8
    ) -> None:
        self.kind = kind
        self._database = database
        self._runtime = runtime
        self._perform = perform
        self._hands = hands
        self._wake = database.wakes(asyncio.Event())

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; then no hand takes a new wish."""
        async with asyncio.TaskGroup() as hands:
            for _ in range(self._hands):
                hands.create_task(self._hand(stop))

    async def _hand(self, stop: asyncio.Event) -> None:
        patience = 0.05
        while not stop.is_set():
            try:
                worked = await self.once()
            except UNAVAILABLE as error:
                log.warning("worker waits for postgres", kind=self.kind, error=repr(error))
                worked, patience = False, 1.0
            patience = 0.05 if worked else min(patience * 2, 1.0)
            if not worked:
                await self._idle(patience)

    async def _idle(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def once(self) -> bool:
        """Work on the most urgent wish; say whether there was one."""
        claimed = await self._claim()
        if claimed is None:
            return False
        row, mine = claimed
        await fp(f"{self.kind}_claimed")
        title = f"{self.kind} {mine.wish.provider}"
        with span(title, parent=row["traceparent"], attributes={"hoop.subject": mine.wish.subject}):
            outcome = await self._try(mine)
        try:
            await self._conclude(mine, outcome)
        except LeaseLost:
            log.warning("lease lost", kind=self.kind, subject=mine.wish.subject)
        telemetry.wishes.labels(telemetry.name(), self.kind, type(outcome).__name__.lower()).inc()
        return True

    async def _claim(self) -> tuple[Row, Claimed] | None:
        """One claim at a time per kind, or two hands would take two wishes of one principal."""
        async with self._database.transaction() as db:
            await db.execute("SELECT pg_advisory_xact_lock(727002, hashtext($1))", self.kind)
            row = await db.fetchrow(_CLAIM, self.kind, new_id(), LEASE)
        return None if row is None else (row, _claimed(row))

    async def _try(self, mine: Claimed) -> Outcome:
        try:
            async with asyncio.timeout(LEASE.total_seconds() * 0.8):
                return await self._perform(self._runtime, mine)
        except UNAVAILABLE as error:
            return Later(repr(error)[:500])
        except Exception as error:  # noqa: BLE001 -- a wish that crashes its job is tried again, visibly
            log.error("job failed", kind=self.kind, subject=mine.wish.subject, exc_info=error)
            return Later(repr(error)[:500])

    async def _conclude(self, mine: Claimed, outcome: Outcome) -> None:
        async with self._database.transaction() as db:
            await self._close(db, mine, outcome)
            if outcome.record is not None:
                await outcome.record(db)
            await fp(f"{self.kind}_recorded")

    async def _close(self, db: Connection, mine: Claimed, outcome: Outcome) -> None:
        """Write the outcome, only while the lease is still ours; a wish changed meanwhile stays due."""
        reason = None if isinstance(outcome, Done) else outcome.reason
        wait = _wait(mine, outcome)
        changed = await db.fetchrow(
            """
            UPDATE work
               SET lease_token = NULL, lease_until = NULL, last_error = $4,
                   done_sequence = CASE WHEN $5 = 'due' THEN done_sequence ELSE $6 END,
                   attempts = CASE WHEN desired_sequence > $6 OR $5 = 'done' THEN 0 ELSE attempts END,
                   status = CASE WHEN desired_sequence > $6 THEN 'due' ELSE $5 END,
                   next_attempt_at = CASE WHEN desired_sequence > $6 THEN clock_timestamp()
                        ELSE greatest(coalesce($8, clock_timestamp()), clock_timestamp() + $7) END
             WHERE kind = $1 AND subject = $2 AND lease_token = $3
            RETURNING next_attempt_at
            """,
            mine.wish.kind,
            mine.wish.subject,
            mine.lease_token,
            reason,
            {Done: "done", Later: "due", Failed: "failed"}[type(outcome)],
            mine.wish.sequence,
            wait,
            outcome.at if isinstance(outcome, Later) else None,
        )
        if changed is None:
            raise LeaseLost
        if isinstance(outcome, Later) and outcome.gate:
            await _close_gate(db, mine, outcome, wait)


def _claimed(row: Row) -> Claimed:
    wish = Wish(
        account_id=row["account_id"],
        kind=row["kind"],
        subject=row["subject"],
        provider=row["provider"],
        principal=row["principal"],
        due_start=row["due_start"],
        desired=row["desired"],
        sequence=row["desired_sequence"],
    )
    return Claimed(wish, row["attempts"], row["lease_token"], row["lease_until"])


def _wait(mine: Claimed, outcome: Outcome) -> timedelta:
    """Growing waits, 0.5 s to 15 min, for an outcome that names no time of its own."""
    if not isinstance(outcome, Later) or outcome.at is not None:
        return timedelta()
    return min(timedelta(seconds=0.25 * 2 ** min(mine.attempts, 20)), LONGEST_WAIT)


async def _close_gate(db: Connection, mine: Claimed, outcome: Later, wait: timedelta) -> None:
    await db.execute(
        """
        INSERT INTO gate AS g (provider, principal, open_at, reason)
        VALUES ($1, $2, greatest(coalesce($4, clock_timestamp()), clock_timestamp() + $5), $3)
        ON CONFLICT (provider, principal) DO UPDATE
           SET open_at = greatest(g.open_at, excluded.open_at), reason = excluded.reason
        """,
        mine.wish.provider,
        mine.wish.principal,
        outcome.reason,
        outcome.at,
        wait,
    )


async def every(
    seconds: float, deed: Callable[[], Awaitable[object]], stop: asyncio.Event, *, what: str
) -> None:
    """Do something at intervals until told to stop; a database that is away is waited for."""
    while not stop.is_set():
        try:
            await deed()
        except UNAVAILABLE as error:
            log.warning("postponed", what=what, error=repr(error))
        await pause(stop, seconds)
