"""Reconciling a meeting: one attempt to bring the provider to the desired meeting, step by step."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from hoop_platform.db.database import LeaseLost, Tx
from hoop_platform.providers.errors import (
    CallRefused,
    NotConnected,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    RateLimited,
    Unreachable,
)
from hoop_platform.reconcile.desired_state import Claimed, Done, Failed, Later, Outcome
from hoop_platform.runtime import Runtime
from meetings import handlers
from meetings.config import MeetingsSettings
from meetings.domain.plan import (
    AwaitConnection,
    CreateMeeting,
    DeleteMeeting,
    InSync,
    LookUpLater,
    LookUpMeetings,
    ObservedState,
    Step,
    UpdateMeeting,
    next_step,
)
from meetings.domain.quota import midnight_after, release_after
from meetings.domain.sessions import DesiredMeeting, MeetingKey
from meetings.domain.status import Condition, failed, meeting_status, pending
from meetings.jobs.operations import CallPostponed, MeetingOperations, QuotaExhausted
from meetings.store import external_objects, quota, sessions, users

CALL_SECONDS = 25.0
"""Of an attempt's 40 seconds, those in which calls may begin; the last call may take 10 more."""
SHORTEST_ANNOUNCED_WAIT = timedelta(minutes=1)

Record = Callable[[Tx], Awaitable[None]]
ProviderCall = LookUpMeetings | CreateMeeting | DeleteMeeting | UpdateMeeting
"""The steps that call the provider."""


class UnverifiableLink(CallRefused):
    """The provider creates meetings whose links lead elsewhere; no second one is created."""


async def reconcile_meeting(runtime: Runtime[MeetingsSettings], claimed: Claimed) -> Outcome:
    """Try to bring the provider to the desired meeting of one session."""
    return await MeetingAttempt(
        runtime,
        claimed,
        key=MeetingKey.from_subject(
            claimed.desired_state.account_id, claimed.desired_state.subject
        ),
        desired=DesiredMeeting.from_json(claimed.desired_state.desired),
        deadline=asyncio.get_running_loop().time() + CALL_SECONDS,
    ).run()


@dataclass
class MeetingAttempt:
    """One attempt. `deadline`: the event loop's time after which no call is begun."""

    runtime: Runtime[MeetingsSettings]
    claimed: Claimed
    key: MeetingKey
    desired: DesiredMeeting
    deadline: float
    created: bool = False

    async def run(self) -> Outcome:
        """Take steps until the provider agrees, or until the next step has to wait."""
        while True:
            observed = await self._observe()
            provider_user = handlers.provider_user(self.desired, observed.account)
            if provider_user != self.claimed.desired_state.provider_user:
                return await self._refresh_desired()
            step = next_step(self.desired, observed, now=self.runtime.clock.now())
            try:
                if (outcome := await self._take(step, observed)) is not None:
                    return outcome
            except NotConnected:
                continue  # the connection was ended or lost: its stored status says so by now
            except (ProviderError, ProviderDown, LeaseLost) as error:
                return await self._outcome(error)

    async def _observe(self) -> ObservedState:
        db, key = self.runtime.db, self.key
        account = await users.get_host_account(db, key.account_id, key.provider, self.desired.host)
        return ObservedState(account, await external_objects.list_external_objects(db, key))

    async def _refresh_desired(self) -> Outcome:
        """Desire the meeting for the host's present account: another user's limits apply to it."""
        async with self.runtime.db.transaction() as db:
            await sessions.lock_sessions(db, [self.key], shared=False)
            changed = await handlers.refresh_desired(db, self.key)
        return Done() if changed else Later("the connection is changing")

    async def _take(self, step: Step, observed: ObservedState) -> Outcome | None:
        """Take a step; None when another one is to follow."""
        match step:
            case InSync():
                return Done(self._announcement(observed))
            case AwaitConnection():
                return Failed("not connected", self._announcement(observed))
            case LookUpLater(wait):
                at = await self._database_time_after(wait)
                record = self._announcement(observed)
                return Later("a lost call may still come true", at=at, record=record)
            case _:
                await self._call(step, observed)
                return None

    async def _call(self, step: ProviderCall, observed: ObservedState) -> None:
        assert observed.account is not None  # without one the step is `AwaitConnection`
        operations = MeetingOperations(
            self.runtime,
            self.claimed,
            self.key,
            self.desired,
            observed.account.connection_id,
            self.deadline,
        )
        match step:
            case LookUpMeetings():
                await operations.look_up([m for m in observed.ours if m.state == "intended"])
            case DeleteMeeting(meeting):
                await operations.delete(meeting)
            case UpdateMeeting(meeting):
                await operations.update(meeting)
            case CreateMeeting(generation):
                if self.created:
                    raise UnverifiableLink("the created meeting has no link to the provider")
                self.created = True
                await operations.create(generation)

    async def _outcome(self, error: ProviderError | ProviderDown | LeaseLost) -> Outcome:
        """The outcome of an attempt that ended in an error; announced, if appointments show it."""
        observed, provider = await self._observe(), self.key.provider
        match error:
            case LeaseLost():
                return Done()
            case CallPostponed(wait=timedelta() as wait):
                at = await self._database_time_after(wait)
                return Later(str(error), at=at, record=self._announcement(observed))
            case QuotaExhausted() | RateLimited(daily=True):
                return await self._wait_for_next_day(error, observed)
            case RateLimited():
                return await self._wait_as_requested(error, observed)
            case Unreachable() | OutcomeUnknown() | ProviderDown():
                record = self._announcement(observed, pending(provider, "provider_down"))
                return Later(str(error), opens_circuit=True, record=record)
            case UnverifiableLink():
                condition = failed(provider, "unverifiable_link")
            case _:
                condition = failed(provider, "rejected")
        return Failed(str(error), self._announcement(observed, condition))

    async def _wait_for_next_day(
        self, error: QuotaExhausted | RateLimited, observed: ObservedState
    ) -> Outcome:
        """Wait for the next day's quota. No circuit is opened: each session announces that it waits."""
        now, desired_state = self.runtime.clock.now(), self.claimed.desired_state
        provider, provider_user = desired_state.provider, desired_state.provider_user
        if isinstance(error, RateLimited):
            async with self.runtime.db.transaction() as db:
                await quota.upsert_exhausted(
                    db, desired_state.account_id, provider, provider_user, day=now.date()
                )
        condition = pending(provider, "daily_quota", expected_at=midnight_after(now))
        return Later(
            f"daily_quota: {error}",
            at=await self._database_time_after(release_after(now, provider_user) - now),
            record=self._announcement(observed, condition),
        )

    async def _wait_as_requested(self, error: RateLimited, observed: ObservedState) -> Outcome:
        """Open the circuit for as long as the provider demands: the limit is that of its user."""
        if not error.wait:
            return Later(str(error), opens_circuit=True)
        at, record = await self._database_time_after(error.wait), None
        if error.wait >= SHORTEST_ANNOUNCED_WAIT:
            expected_at = self.runtime.clock.now() + error.wait
            busy = pending(self.key.provider, "provider_busy", expected_at=expected_at)
            record = self._announcement(observed, busy)
        return Later(str(error), at=at, opens_circuit=True, record=record)

    def _announcement(self, observed: ObservedState, condition: Condition | None = None) -> Record:
        """Announces the meeting's status, in the transaction that records the attempt's outcome."""
        now = self.runtime.clock.now()
        meeting = meeting_status(
            self.key.provider, self.desired, observed, now=now, condition=condition
        )

        async def record(db: Tx) -> None:
            await handlers.announce_link(db, self.key, meeting, now=now)

        return record

    async def _database_time_after(self, wait: timedelta) -> datetime:
        """`wait` from now by the database's clock, as attempts are due by it, not by business time."""
        return await external_objects.get_database_time(self.runtime.db) + wait
