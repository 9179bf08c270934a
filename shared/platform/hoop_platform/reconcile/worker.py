"""The worker: leases desired states that are due, soonest first, and works on each until it is stored."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from hoop_platform import telemetry
from hoop_platform.db.database import TRANSIENT, UNAVAILABLE, Database, LeaseLost
from hoop_platform.failpoints import fp
from hoop_platform.outbox.announce import OUTBOX
from hoop_platform.reconcile import claims
from hoop_platform.reconcile.claims import Finish, LeftBehind, Look, ObjectsDiffer, Position
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.finishing import Finishing
from hoop_platform.reconcile.look_times import LONGEST_PAUSE, POLL_SECONDS, LookTimes
from hoop_platform.reconcile.outcome import Later, Outcome
from hoop_platform.reconcile.plan import UNCERTAIN_WAIT
from hoop_platform.telemetry import cause, log, span
from hoop_platform.timing import until_set

Perform = Callable[[Claimed], Awaitable[Outcome]]
"""One attempt to bring the provider to a desired state."""

LONGEST_WORK = timedelta(seconds=40)
"""No lease is renewed beyond this, unless a worker's calls may take longer: at least three times the
longest call to a provider, of which an attempt may make several."""
LONGEST_STORING = 2 * UNCERTAIN_WAIT
"""So long an outcome is kept that Postgres does not take: longer than a call in doubt is left alone."""
HAND_OVER_SECONDS = 2.0
"""How long a worker that stops waits for the transactions that lease something for it."""
PROMPT_ATTEMPTS = 5
"""So often an attempt whose view was outdated is repeated at once."""
LONGEST_CHAIN = 16
"""Desired states of one provider user in a row, before other users have their turn."""


class Worker:
    """Works on desired states, at most `concurrency` at a time, one at a time for a provider user.

    What this process stores is leased in the statement that stores it, and never looked for. A look
    is for what was postponed or left behind; its cost does not depend on how much that is.
    """

    def __init__(
        self,
        database: Database,
        kinds: Mapping[str, Perform],
        *,
        concurrency: int = 8,
        longest_work: timedelta | None = None,
    ) -> None:
        """`longest_work`: the longest that an attempt may take, if that is not `LONGEST_WORK`."""
        self.kinds: Collection[str] = frozenset(kinds)
        self._longest_work = longest_work
        self._perform = kinds
        self._database = database
        self._concurrency = concurrency
        self._reserved = 0
        self._running = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._wake = asyncio.Event()
        self._left_behind = True
        self._is_stopping = False
        self._looks = LookTimes()
        self._finishing = Finishing(database)

    @property
    def free(self) -> int:
        """How many more attempts may begin, or be reserved."""
        return max(0, self._concurrency - self._running - self._reserved)

    def reserve(self, wanted: int) -> int:
        """Reserve capacity for up to so many attempts, for a transaction that leases what it stores."""
        capacity = min(wanted, self.free)
        self._reserved += capacity
        return capacity

    def release(self, unused: int) -> None:
        """Give back reserved capacity that was not used."""
        self._reserved -= unused
        if unused and (self._left_behind or self._is_stopping):
            self._wake.set()

    def hand_over(self, claimed: Sequence[Claimed], *, left_behind: datetime | None) -> None:
        """A transaction was committed: begin with what it leased, look for what it left behind."""
        for each in claimed:
            self._begin(each)
        self.release(len(claimed))
        if left_behind is not None:
            self._looks.include(left_behind)
            self._left_behind = True
            self._wake.set()

    def _begin(self, claimed: Claimed) -> None:
        """Begin to work on it; after the end of the worker its lease expires, and another one does."""
        if self._tasks is not None:
            self._running += 1
            self._tasks.create_task(self._work_through(claimed))

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop; then nothing is leased any more, and what was leased is finished."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self._database.workers.append(self)
            try:
                while not stop.is_set():
                    self._wake.clear()
                    seconds = await self._look_if_due()
                    await until_set(self._wake, seconds, stop=stop)
            finally:
                self._database.workers.remove(self)
                self._is_stopping = True
            await self._until_handed_over()
            self._tasks = None

    async def _until_handed_over(self) -> None:
        """Wait for the transactions that were promised a place; their leases would expire unused."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + HAND_OVER_SECONDS
        while self._reserved and loop.time() < deadline:
            self._wake.clear()
            await until_set(self._wake, deadline - loop.time())

    async def _look_if_due(self) -> float:
        """Look for work unless there is no place or no reason; returns the seconds to wait."""
        now = asyncio.get_running_loop().time()
        if not self._left_behind and now < self._looks.due_at:
            return self._looks.due_at - now
        capacity = self.reserve(self._concurrency)
        if not capacity:
            self._left_behind = True  # a place that becomes free wakes the loop
            return POLL_SECONDS
        self._left_behind = False
        try:
            look = await self._claim(capacity)
        except TRANSIENT as error:
            log.warning("worker waits for postgres", error=cause(error))
            self._left_behind = True
            return LONGEST_PAUSE
        finally:
            self.release(capacity)
        for claimed in look.claimed:
            self._begin(claimed)
        self._left_behind |= look.more or len(look.claimed) == capacity
        return 0.0 if self._left_behind else self._looks.pause_after(look)

    async def _claim(self, most: int) -> Look:
        look = await claims.claim_due(
            self._database, self.kinds, most, self._looks.position_of_next()
        )
        self._looks.position = look.position
        return look

    async def once(self) -> bool:
        """Work on the most urgent desired state; True if there was one."""
        look = await claims.claim_due(self._database, self.kinds, 1, Position())
        for claimed in look.claimed:
            await self._work_on(claimed)
        return bool(look.claimed)

    async def _work_through(self, claimed: Claimed) -> None:
        """Work on a desired state, then on the next ones of the same provider user."""
        try:
            for number in range(1, LONGEST_CHAIN + 1):
                goes_on = number < LONGEST_CHAIN and not self._is_stopping
                chain = self.kinds if goes_on else ()
                since = claimed.desired_state.due_start if number % 4 else None
                following = await self._work_on(claimed, chain=chain, since=since)
                if not isinstance(following, Claimed):
                    self._left_behind |= not goes_on or following is not None
                    break
                claimed = following
        finally:
            self._running -= 1
            if self._left_behind:
                self._wake.set()

    async def _work_on(
        self, claimed: Claimed, *, chain: Collection[str] = (), since: datetime | None = None
    ) -> Claimed | LeftBehind | None:
        """Make one attempt and store its outcome; the user's next desired state of these kinds."""
        state = claimed.desired_state
        await fp(f"{state.kind}_claimed")
        title = f"{state.kind} {state.provider}"
        attributes = {"hoop.subject": state.subject, "hoop.attempt": claimed.attempts}
        following = None
        with span(title, parent=claimed.traceparent, attributes=attributes):
            outcome = await self._try(claimed)
            try:
                outcome, following = await self._store(claimed, outcome, chain=chain, since=since)
            except LeaseLost:
                log.warning("lease lost", kind=state.kind, subject=state.subject)
        result = type(outcome).__name__.lower()
        telemetry.reconcile_attempts.labels(telemetry.name(), state.kind, result).inc()
        return following

    async def _try(self, claimed: Claimed) -> Outcome:
        state = claimed.desired_state
        if (perform := self._perform.get(state.kind)) is None:
            return Later("this version does not know the kind", wait=timedelta(minutes=1))
        limit_at = claimed.begun + _safely(claims.LEASE)
        try:
            async with asyncio.timeout_at(limit_at) as limit, self._renewing(claimed, limit):
                return await perform(claimed)
        except UNAVAILABLE as error:
            return Later(cause(error)[:500])
        except Exception as error:  # noqa: BLE001 -- a state that crashes its job is tried again, visibly
            log.error("job failed", kind=state.kind, subject=state.subject, exc_info=error)
            return Later(cause(error)[:500])

    @asynccontextmanager
    async def _renewing(self, claimed: Claimed, limit: asyncio.Timeout) -> AsyncIterator[None]:
        # No TaskGroup: it would wrap what the work itself raises.
        renewing = asyncio.create_task(self._renew(claimed, limit))  # noqa: TID251 -- ends below
        try:
            yield
        finally:
            renewing.cancel()

    async def _renew(self, claimed: Claimed, limit: asyncio.Timeout) -> None:
        """Renew the lease while the work goes on; work without a lease is cancelled before it expires."""
        loop = asyncio.get_running_loop()
        longest = loop.time() + (self._longest_work or LONGEST_WORK).total_seconds()
        while loop.time() < longest:
            await asyncio.sleep(claims.LEASE.total_seconds() / 3)
            began = loop.time()
            with suppress(*TRANSIENT):
                if not await claims.renew(self._database, claimed) or limit.expired():
                    return
                limit.reschedule(began + _safely(claims.LEASE))

    async def _store(
        self, claimed: Claimed, outcome: Outcome, *, chain: Collection[str], since: datetime | None
    ) -> tuple[Outcome, Claimed | LeftBehind | None]:
        """Store the outcome; without Postgres, try again for as long as nobody else may repeat the call.

        The lease may have expired by then: what the attempt has shown is stored in any case.
        """
        begun, is_replaced = asyncio.get_running_loop().time(), False
        while True:
            try:
                await fp(f"{claimed.desired_state.kind}_performed")
                following = await self._complete(claimed, outcome, chain=chain, since=since)
            except TRANSIENT as error:
                patience = claims.LEASE if self._is_stopping else LONGEST_STORING
                if asyncio.get_running_loop().time() > begun + patience.total_seconds():
                    raise LeaseLost from error
                log.warning("outcome not recorded yet", error=cause(error))
                await asyncio.sleep(0.2)
            except LeaseLost:
                raise
            except Exception as error:
                if is_replaced:
                    _log_not_stored(claimed, error)
                    raise LeaseLost from error
                outcome, is_replaced = _outcome_not_stored(claimed, error), True
            else:
                return outcome, following

    async def _complete(
        self, claimed: Claimed, outcome: Outcome, *, chain: Collection[str], since: datetime | None
    ) -> Claimed | LeftBehind | None:
        """Store the outcome, together with those of others; in one transaction with its record."""
        finish = Finish(claimed, outcome, kinds=chain, since=since)
        if outcome.record is None:
            finished = await self._finishing.finish(finish)
        else:
            async with self._database.transaction() as db:
                [finished] = await claims.finish(db, [finish], patient=True)
                if not isinstance(finished, Exception):
                    await outcome.record(db)
        if isinstance(finished, Exception):
            raise finished
        if outcome.announcement is not None:
            self._database.notify(OUTBOX)
        await fp(f"{claimed.desired_state.kind}_recorded")
        return finished


def _safely(lease: timedelta) -> float:
    """Seconds after which work is cancelled, before another worker may lease the state."""
    return lease.total_seconds() * 0.8


def _outcome_not_stored(claimed: Claimed, error: Exception) -> Later:
    """What is stored instead of an outcome that cannot be stored: another attempt is to be made."""
    if isinstance(error, ObjectsDiffer):
        again = timedelta() if claimed.attempts < PROMPT_ATTEMPTS else None
        return Later("the external objects were changed meanwhile", wait=again)
    _log_not_stored(claimed, error)
    return Later(cause(error)[:500])


def _log_not_stored(claimed: Claimed, error: Exception) -> None:
    state = claimed.desired_state
    log.error("outcome not stored", kind=state.kind, subject=state.subject, exc_info=error)
