"""One attempt to bring a provider to a desired state: steps, each with its intent, until it agrees."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Generic, TypeVar

from hoop_platform.db.database import LeaseLost
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import (
    CallRefused,
    NotConnected,
    ObjectNotFound,
    OutcomePending,
    OutcomeUnknown,
    PermissionLost,
    ProviderDown,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    TokenRejected,
    Unreachable,
)
from hoop_platform.providers.status import suspend_account
from hoop_platform.providers.tokens import access_token
from hoop_platform.reconcile import quota, work
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.observed_state import ExternalObject
from hoop_platform.reconcile.outcome import Announcement, Done, Failed, Later, Outcome
from hoop_platform.reconcile.plan import (
    Call,
    Create,
    Delete,
    GiveUp,
    InSync,
    LookUp,
    Step,
    Update,
    WaitFor,
)
from hoop_platform.reconcile.reconciler import (
    CallContext,
    Existing,
    Obstacle,
    ObstacleKind,
    Reconciler,
)
from hoop_platform.runtime import Runtime

D = TypeVar("D")
T = TypeVar("T")

CALL_SECONDS = 25.0
"""Of an attempt's 40 seconds, those in which calls may begin; the last call may take 10 more."""
MOST_STEPS = 12
SHORTEST_ANNOUNCED_WAIT = timedelta(minutes=1)
REJECTED_DELETE_WAIT = timedelta(hours=1)


class CallPostponed(CallRefused):
    """The call was not made, or not accepted now; the attempt is to be repeated after `wait`."""


class QuotaExhausted(CallRefused):
    """The day's calls are used up by our own count; this call was not made."""


class Unusable(CallRefused):
    """The provider creates objects that may not be used; no second one is created."""


async def attempt(runtime: Runtime, reconciler: Reconciler[D], claimed: Claimed) -> Outcome:
    """Take steps until the provider agrees, or until the next step has to wait."""
    return await Attempt(runtime, reconciler, claimed).run()


class Attempt(Generic[D]):
    """The steps of one attempt. What they show is kept in memory and stored with the outcome."""

    def __init__(self, runtime: Runtime, reconciler: Reconciler[D], claimed: Claimed) -> None:
        self.runtime = runtime
        self.reconciler = reconciler
        self.claimed = claimed
        self.desired = reconciler.read(claimed.desired_state)
        self.adapter = reconciler.adapter(claimed.desired_state.provider)
        self.observed = claimed.observed
        self.unsaved: dict[int, ExternalObject] = {}
        self.created = False
        self.token: str | None = None
        self.deadline = claimed.begun + CALL_SECONDS
        """The event loop's time after which no call is begun: each must end within the lease."""

    async def run(self) -> Outcome:
        """Take steps; the outcome when there is none left, or when a call fails."""
        try:
            for _ in range(MOST_STEPS):
                if self._is_connection_changing():
                    return self._later("the connection is changing")
                step = self.reconciler.plan(
                    self.desired, self.observed, now=self.runtime.clock.now()
                )
                if (outcome := await self._take(step)) is not None:
                    return outcome
        except LeaseLost as error:
            return Later(
                str(error) or "the lease is lost", wait=timedelta(), objects=self._objects()
            )
        except (ProviderError, ProviderDown) as error:
            return await self._outcome(error)
        return self._later("the object changes faster than it can be written")

    def _is_connection_changing(self) -> bool:
        """Whether the account is another user's by now: another user's limits apply to it."""
        account = self.observed.account
        user = self.claimed.desired_state.provider_user
        return account is not None and account.active and account.external_id != user

    async def _take(self, step: Step) -> Outcome | None:
        """Take a step; the outcome if it is the last one."""
        match step:
            case InSync():
                return Done(objects=self._objects(), announcement=self._announcement())
            case WaitFor(wait):
                return self._later("a lost call may still come true", wait=wait)
            case GiveUp(external):
                self._change(replace(external, state="gone"))
                return self._failed("uncertain", "the outcome is uncertain")
            case _ if self.adapter.oauth is not None and not self.observed.connected:
                return Failed(
                    "not connected", objects=self._objects(), announcement=self._announcement()
                )
        await self._save()
        try:
            await self._call(step)
        except NotConnected:
            await self._observe()  # the connection was ended or lost: its stored status says so
        return None

    async def _call(self, step: Call) -> None:
        match step:
            case LookUp(lost):
                await self._look_up(lost)
            case Create(generation):
                await self._create(generation)
            case Update(external):
                await self._update(external)
            case Delete(external):
                await self._delete(external)

    async def _create(self, generation: int) -> None:
        """Create the object. If the response is lost, the intent stays, and tells the next attempt."""
        if self.created:
            raise Unusable("the created object may not be used")

        async def create(call: CallContext) -> Existing:
            intended = self._intended(self.adapter.intent(call, generation))
            await self._begin(intended)
            await fp(f"{self.kind}_intended")
            self._check_deadline()
            return await self.adapter.create(call, self.desired, intended)

        try:
            existing = await self._with_token(create)
        except ObjectNotFound:
            self._change(self._gone(generation))
            return
        except CallRefused:
            if self.adapter.lost_calls != "repeated":  # else an earlier call may have created it
                self._change(self._gone(generation))
            raise
        self.created = True
        await fp(f"{self.kind}_created")
        self._exists(self._by_generation(generation), existing)

    def _intended(self, intended: ExternalObject) -> ExternalObject:
        """The intent as it is stored. One that is repeated without certainty is not repeated again."""
        before = self._by_generation(intended.generation)
        again = before.state == "intended" and self.adapter.lost_calls == "uncertain"
        account = self.observed.account
        connection_id = account.connection_id if account else None
        intended = replace(intended, connection_id=connection_id, looked_up=again)
        self.observed = self.observed.with_objects(intended)
        return intended

    async def _update(self, external: ExternalObject) -> None:
        async def update(call: CallContext) -> Existing:
            if self.adapter.daily_limit is not None:
                await self._begin(None, is_update=True)
            self._check_deadline()
            return await self.adapter.update(call, self.desired, external)

        try:
            existing = await self._with_token(update)
        except ObjectNotFound:
            self._change(replace(external, state="gone", content=None))
            return
        await fp(f"{self.kind}_updated")
        self._exists(external, existing)

    async def _delete(self, external: ExternalObject) -> None:
        """Delete the object; one that does not exist any more counts as deleted."""

        async def delete(call: CallContext) -> None:
            marked = replace(external, state="to_delete")
            await self._begin(marked)
            self.observed = self.observed.with_objects(marked)
            await fp(f"{self.kind}_marked_for_deletion")
            self._check_deadline()
            await self.adapter.delete(call, external)
            await fp(f"{self.kind}_deleted")

        try:
            with suppress(ObjectNotFound):
                await self._with_token(delete)
        except RequestRejected as error:
            # For example, the meeting is running. It can be deleted later.
            raise CallPostponed(str(error), REJECTED_DELETE_WAIT) from error
        self._change(replace(external, state="gone", content=None))

    async def _look_up(self, lost: tuple[ExternalObject, ...]) -> None:
        """Find out which intended objects exist. One not found after `SETTLE_TIME` never will."""

        async def find(call: CallContext) -> dict[int, Existing]:
            self._check_deadline()
            found = await self.adapter.find(call)
            return {existing.generation: existing for existing in reversed(found)}

        found = await self._with_token(find)
        for intended in lost:
            if existing := found.get(intended.generation):
                self._exists(intended, existing)
            else:
                missing = replace(intended, looked_up=True)
                self._change(replace(missing, state="gone") if intended.settled else missing)

    def _exists(self, external: ExternalObject, existing: Existing) -> None:
        """The object exists: it is the subject's object, or it is to be deleted."""
        live = self.observed.live
        alone = live is None or live.generation == external.generation
        self._change(
            replace(
                external,
                state="live" if existing.usable and alone else "to_delete",
                external_id=existing.external_id,
                content=existing.content,
                data=existing.data,
            )
        )

    # --- what is known, and stored

    @property
    def kind(self) -> str:
        return self.reconciler.kind

    def _by_generation(self, generation: int) -> ExternalObject:
        known = {each.generation: each for each in self.observed.objects}
        return known.get(generation, ExternalObject(generation, "gone"))

    def _gone(self, generation: int) -> ExternalObject:
        return replace(self._by_generation(generation), state="gone", content=None)

    def _change(self, external: ExternalObject) -> None:
        self.observed = self.observed.with_objects(external)
        self.unsaved[external.generation] = external

    def _objects(self) -> tuple[ExternalObject, ...]:
        return tuple(self.unsaved.values())

    async def _save(self) -> None:
        """Store what earlier steps have shown before the next call: no crash may lose it."""
        if self.unsaved:
            objects, self.unsaved = self._objects(), {}
            if not await work.record_objects(self.runtime.db, self.claimed, objects):
                await self._observe()

    async def _observe(self) -> None:
        state = self.claimed.desired_state
        observed = await work.get_observed(
            self.runtime.db, state.account_id, state.kind, state.subject
        )
        if observed is None:
            raise LeaseLost("the desired state was deleted")
        self.observed = observed.with_objects(*self.unsaved.values())

    async def _begin(self, intent: ExternalObject | None, *, is_update: bool = False) -> None:
        """Store the intent and count the call. Raises `LeaseLost`, `NotConnected`, `QuotaExhausted`."""
        account, now = self.observed.account, self.runtime.clock.now()
        limit, due = self.adapter.daily_limit, self.claimed.desired_state.due_start
        urgent = not is_update and quota.is_urgent(due, now=now)
        allowed = await work.begin_call(
            self.runtime.db,
            self.claimed,
            intent,
            connection_id=account.connection_id if account else None,
            day=now.date(),
            allowance=None if limit is None else quota.allowance(limit, urgent=urgent),
        )
        match allowed:
            case "lease_lost":
                raise LeaseLost("the desired state has changed, or the lease has run out")
            case "not_connected":
                raise NotConnected(self.claimed.desired_state.subject)
            case "quota":
                raise QuotaExhausted("daily_quota")

    def _check_deadline(self) -> None:
        if asyncio.get_running_loop().time() > self.deadline:
            raise CallPostponed("the lease is too short for another call", timedelta())

    # --- tokens

    async def _with_token(self, call: Callable[[CallContext], Awaitable[T]]) -> T:
        """Call with a token. If access is lost for good, suspend the account and raise `NotConnected`."""
        try:
            return await self._with_refresh(call)
        except TokenRejected:
            reason = "reconnect_needed"
        except PermissionLost as error:
            reason = error.reason
        assert self.observed.account is not None  # only a call with a token raises these
        async with self.runtime.db.transaction() as db:
            await suspend_account(
                db,
                self.claimed.desired_state.account_id,
                self.observed.account.connection_id,
                reason=reason,
                now=self.runtime.clock.now(),
            )
        raise NotConnected(self.observed.account.connection_id)

    async def _with_refresh(self, call: Callable[[CallContext], Awaitable[T]]) -> T:
        """Call with a token, and once more with a refreshed one if it was revoked before its expiry."""
        try:
            return await call(await self._context())
        except TokenRejected:
            if self.adapter.oauth is None:
                raise
        return await call(await self._context(rejected=self.token))

    async def _context(self, *, rejected: str | None = None) -> CallContext:
        if self.token is None or rejected is not None:
            self.token = await self._access_token(rejected=rejected)
        account = self.observed.account
        return CallContext(
            token=self.token,
            subject=self.claimed.desired_state.subject,
            provider_user=self.claimed.desired_state.provider_user,
            attempts=self.claimed.attempts,
            settings=account.settings if account else {},
        )

    async def _access_token(self, *, rejected: str | None) -> str:
        runtime, account = self.runtime, self.observed.account
        if self.adapter.oauth is None or account is None:
            return ""
        now, credential = runtime.clock.now(), self.observed.credential
        if rejected is None and credential is not None and credential.fresh_until > now:
            return credential.open(runtime.cipher).access
        return await access_token(
            runtime.db,
            runtime.http,
            runtime.cipher,
            self.adapter.oauth,
            account_id=self.claimed.desired_state.account_id,
            connection_id=account.connection_id,
            now=now,
            rejected=rejected,
        )

    # --- outcomes

    async def _outcome(self, error: ProviderError | ProviderDown) -> Outcome:
        """The outcome of an attempt that a failed call has ended."""
        match error:
            case CallPostponed() | OutcomePending():
                return self._later(str(error), wait=error.wait)
            case QuotaExhausted() | RateLimited(daily=True) | QuotaExceeded():
                return await self._until_next_day(error)
            case RateLimited():
                return self._as_requested(error)
            case Unreachable() | OutcomeUnknown():
                return self._down(str(error), error.wait)
            case ProviderDown():
                return self._down(str(error), error.retry_after)
            case Unusable():
                return self._failed("unusable", str(error))
            case _:
                return self._failed("rejected", str(error))

    def _down(self, text: str, wait: timedelta | None) -> Outcome:
        return self._later(text, wait=wait, opens_circuit=True, obstacle=Obstacle("down", text))

    async def _until_next_day(self, error: CallRefused) -> Outcome:
        """Wait for the next day's quota. No circuit is opened: each subject announces that it waits."""
        now, state = self.runtime.clock.now(), self.claimed.desired_state
        if not isinstance(error, QuotaExhausted):
            await work.exhaust_quota(self.runtime.db, state, day=now.date())
        return self._later(
            f"daily_quota: {error}",
            wait=quota.release_after(now, state.provider_user) - now,
            obstacle=Obstacle("quota", str(error), expected_at=quota.midnight_after(now)),
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
            objects=self._objects(),
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
            objects=self._objects(),
            announcement=self._announcement(obstacle),
        )

    def _failed(self, kind: ObstacleKind, text: str) -> Outcome:
        announcement = self._announcement(Obstacle(kind, text))
        return Failed(text, objects=self._objects(), announcement=announcement)

    def _announcement(self, obstacle: Obstacle | None = None) -> Announcement | None:
        return self.reconciler.announcement(
            self.claimed, self.desired, self.observed, obstacle, now=self.runtime.clock.now()
        )
