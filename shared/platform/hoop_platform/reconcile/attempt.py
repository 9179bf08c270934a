"""One attempt to bring a provider to a desired state: steps until it agrees, and what comes of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from hoop_platform.db.database import TRANSIENT, LeaseLost
from hoop_platform.providers.errors import (
    CallPostponed,
    CallRefused,
    OutcomePending,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    QuotaExceeded,
    QuotaExhausted,
    RateLimited,
    Unreachable,
    Unusable,
)
from hoop_platform.reconcile import quota
from hoop_platform.reconcile.calls import Calls
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.outcome import Announcement, Done, Failed, Later, Outcome
from hoop_platform.reconcile.plan import GiveUp, InSync, Step, WaitFor
from hoop_platform.reconcile.reconciler import Obstacle, ObstacleKind, Reconciler
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import cause, log

D = TypeVar("D")

MOST_STEPS = 12
SHORTEST_ANNOUNCED_WAIT = timedelta(minutes=1)


async def attempt(runtime: Runtime, reconciler: Reconciler[D], claimed: Claimed) -> Outcome:
    """Take steps until the provider agrees, or until the next step has to wait."""
    desired = await reconciler.load(claimed)
    adapter = reconciler.adapter(claimed.desired_state.provider)
    calls = Calls(runtime, adapter, claimed, desired)
    return await Attempt(runtime, reconciler, calls).run()


class Attempt(Generic[D]):
    """The steps of one attempt, and its outcome."""

    def __init__(self, runtime: Runtime, reconciler: Reconciler[D], calls: Calls[D]) -> None:
        self.runtime = runtime
        self.reconciler = reconciler
        self.calls = calls
        self.claimed = calls.claimed
        self.doubt: str | None = None
        """Why the outcome of an uncertain create is not known."""

    async def run(self) -> Outcome:
        """Take steps; the outcome when there is none left, or when a call fails."""
        try:
            for _ in range(MOST_STEPS):
                if self._is_connection_changing():
                    return self._later("the connection is changing")
                step = self.reconciler.plan(
                    self.calls.desired,
                    self.calls.observed,
                    lost_calls=self.calls.adapter.lost_calls,
                    now=self.runtime.clock.now(),
                )
                if (outcome := await self._take(step)) is not None:
                    return outcome
        except LeaseLost as error:
            return Later(
                str(error) or "the lease is lost", wait=timedelta(), objects=self.calls.objects()
            )
        except (ProviderError, ProviderDown) as error:
            return await self._outcome(error)
        except Exception as error:  # noqa: BLE001 -- what the calls have shown is stored all the same
            return self._interrupted(error)
        return self._later("the object changes faster than it can be written")

    def _interrupted(self, error: Exception) -> Outcome:
        """The outcome when something else than a provider fails: PostgreSQL, or a defect."""
        state = self.claimed.desired_state
        if not isinstance(error, TRANSIENT):
            log.error("attempt failed", kind=state.kind, subject=state.subject, exc_info=error)
        return Later(cause(error)[:500], objects=self.calls.objects())

    def _is_connection_changing(self) -> bool:
        """Whether the account is another user's by now: another user's limits apply to it."""
        account = self.calls.observed.account
        user = self.claimed.desired_state.provider_user
        return account is not None and account.active and account.external_id != user

    async def _take(self, step: Step) -> Outcome | None:
        """Take a step; the outcome if it is the last one."""
        match step:
            case InSync():
                return Done(objects=self.calls.objects(), announcement=self._announcement())
            case WaitFor(wait, reason):
                return self._later(self.doubt or reason, wait=wait)
            case GiveUp():
                return self._give_up(step, self.doubt or step.reason)
            case _ if self.calls.adapter.oauth is not None and not self.calls.observed.connected:
                return Failed(
                    "not connected", objects=self.calls.objects(), announcement=self._announcement()
                )
        try:
            await self.calls.take(step)
        except OutcomeUnknown as error:
            if self.calls.adapter.lost_calls != "uncertain":
                raise
            self.doubt = str(error)  # the next step is to wait, or to give up
        return None

    def _give_up(self, step: GiveUp, reason: str) -> Outcome:
        """Nothing more is tried with an object that may or may not exist; its row says why."""
        external = step.external
        data = {**external.data, "uncertain": reason}
        self.calls.change(replace(external, state="gone", content=None, data=data))
        if step.followed:
            return self._later(reason, wait=timedelta(), obstacle=Obstacle("uncertain", reason))
        return self._failed("uncertain", reason)

    async def _outcome(self, error: ProviderError | ProviderDown) -> Outcome:
        """The outcome of an attempt that a failed call has ended."""
        match error:
            case CallPostponed() | OutcomePending():
                return self._later(str(error), wait=error.wait)
            case QuotaExhausted() | RateLimited(daily=True) | QuotaExceeded():
                return await self._until_next_day(error)
            case RateLimited():
                return self._as_requested(error)
            case Unreachable() | OutcomeUnknown() | ProviderDown():
                return self._down(error)
            case _:
                return self._failed(
                    "unusable" if isinstance(error, Unusable) else "rejected", str(error)
                )

    def _down(self, error: ProviderError | ProviderDown) -> Outcome:
        wait = error.retry_after if isinstance(error, ProviderDown) else error.wait
        obstacle = Obstacle("down", str(error))
        return self._later(str(error), wait=wait, opens_circuit=True, obstacle=obstacle)

    async def _until_next_day(self, error: CallRefused) -> Outcome:
        """Wait for the quota of the day after the one for which the call was counted.

        The response may have come on the next day already. No circuit is opened: each subject
        announces that it waits.
        """
        now, state = self.runtime.clock.now(), self.claimed.desired_state
        counted_at = self.calls.counted_at or now
        if not isinstance(error, QuotaExhausted):
            if quota.is_in_doubt(counted_at):
                return self._until_certain(error, counted_at, now=now)
            await quota.exhaust_quota(self.runtime.db, state, day=counted_at.date())
        return self._later(
            f"daily_quota: {error}",
            wait=max(quota.release_after(counted_at, state.provider_user) - now, timedelta()),
            obstacle=Obstacle("quota", str(error), expected_at=quota.midnight_after(counted_at)),
        )

    def _until_certain(self, error: CallRefused, counted_at: datetime, *, now: datetime) -> Outcome:
        """Wait until it is the same day for the provider; the circuit spares its user further refusals."""
        certain_at = quota.midnight_before(counted_at) + quota.CLOCK_DOUBT
        return self._later(
            f"daily_quota, perhaps of the day before: {error}",
            wait=max(certain_at - now, timedelta()),
            opens_circuit=True,
            obstacle=Obstacle("quota", str(error), expected_at=certain_at),
        )

    def _as_requested(self, error: RateLimited) -> Outcome:
        """Open the circuit for as long as the provider demands: the limit is that of its user."""
        obstacle = None
        if error.wait is not None and error.wait >= SHORTEST_ANNOUNCED_WAIT:
            expected_at = self.runtime.clock.now() + error.wait
            obstacle = Obstacle("busy", str(error), expected_at=expected_at)
        return Later(
            str(error),
            wait=error.wait or None,
            opens_circuit=True,
            objects=self.calls.objects(),
            announcement=self._announcement(obstacle) if obstacle else None,
        )

    def _later(
        self,
        reason: str,
        *,
        wait: timedelta | None = None,
        opens_circuit: bool = False,
        obstacle: Obstacle | None = None,
    ) -> Outcome:
        return Later(
            reason,
            wait=wait,
            opens_circuit=opens_circuit,
            objects=self.calls.objects(),
            announcement=self._announcement(obstacle),
        )

    def _failed(self, kind: ObstacleKind, text: str) -> Outcome:
        announcement = self._announcement(Obstacle(kind, text))
        return Failed(text, objects=self.calls.objects(), announcement=announcement)

    def _announcement(self, obstacle: Obstacle | None = None) -> Announcement | None:
        return self.reconciler.announcement(
            self.claimed,
            self.calls.desired,
            self.calls.observed,
            obstacle,
            now=self.runtime.clock.now(),
        )
