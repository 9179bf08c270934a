"""The calls of one attempt: each with its intent stored first and a valid token, and its facts kept."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from hoop_platform.db.database import LeaseLost
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import (
    CallPostponed,
    CallRefused,
    NotConnected,
    ObjectNotFound,
    QuotaExhausted,
    RequestRejected,
    Unusable,
)
from hoop_platform.reconcile import claims, quota
from hoop_platform.reconcile.authorized_calls import AuthorizedCalls
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.intents import (
    intended_object,
    refused_object,
    repeated_object,
    uncertain_object,
)
from hoop_platform.reconcile.observed_state import ExternalObject, ObjectState
from hoop_platform.reconcile.plan import Call, Create, Delete, LookUp, Update
from hoop_platform.reconcile.reconciler import Adapter, CallContext, Existing
from hoop_platform.runtime import Runtime

D = TypeVar("D")
T = TypeVar("T")

REJECTED_DELETE_WAIT = timedelta(hours=1)


class Calls(AuthorizedCalls[D]):
    """The calls of one attempt. What they show is kept in memory until it is stored with the outcome."""

    def __init__(self, runtime: Runtime, adapter: Adapter[D], claimed: Claimed, desired: D) -> None:
        super().__init__(runtime, adapter, claimed)
        self.desired = desired
        self.unsaved: dict[int, ExternalObject] = {}
        self.created = False
        self.counted_at: datetime | None = None
        """When the last call was begun that counts for the day's quota, whatever became of it."""

    async def take(self, step: Call) -> None:
        """Make the call of a step. Raises `ProviderError`, `ProviderDown`, `LeaseLost`."""
        await self._save()
        try:
            await self._call(step)
        except NotConnected:
            await self._observe()  # the connection was ended or lost: its stored status says so

    async def _call(self, step: Call) -> None:
        match step:
            case LookUp(lost):
                await self._look_up(lost)
            case Create():
                await self._create(step)
            case Update(external):
                await self._update(external)
            case Delete(external):
                await self._delete(external)

    async def _create(self, step: Create) -> None:
        """Create the object. If the response is lost, the intent stays, and tells the next attempt."""
        if self.created:
            raise Unusable("the created object may not be used")
        generation, lost_calls = step.generation, self.adapter.lost_calls
        lost = uncertain_object(self.observed, generation, lost_calls=lost_calls)

        async def create(call: CallContext) -> Existing:
            intent = self.adapter.intent(call, generation)
            intended = (
                repeated_object(lost) if lost else intended_object(intent, step, self.observed)
            )
            self.observed = self.observed.with_objects(intended)
            await self._begin(intended)
            await fp(f"{self.kind}_intended")
            self.check_deadline()
            return await self.adapter.create(call, self.desired, intended)

        try:
            existing = await self.with_token(create)
        except ObjectNotFound:
            self.change(self._gone(generation))
            return
        except CallRefused as error:
            if (
                self.adapter.lost_calls != "repeated"
            ):  # else an earlier call may have had its effect
                self.change(refused_object(self._by_generation(generation), error, lost=lost))
            raise
        self.created = True
        await fp(f"{self.kind}_created")
        self._exists(self._by_generation(generation), existing)

    async def _update(self, external: ExternalObject) -> None:
        async def update(call: CallContext) -> Existing:
            if self.adapter.daily_limit is not None:
                await self._begin(None, is_update=True)
            self.check_deadline()
            return await self.adapter.update(call, self.desired, external)

        try:
            existing = await self.with_token(update)
        except ObjectNotFound:
            self.change(replace(external, state="gone", content=None))
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
            self.check_deadline()
            await self.adapter.delete(call, external)
            await fp(f"{self.kind}_deleted")

        try:
            with suppress(ObjectNotFound):
                await self.with_token(delete)
        except RequestRejected as error:
            # For example, the meeting is running. It can be deleted later.
            raise CallPostponed(str(error), REJECTED_DELETE_WAIT) from error
        self.change(replace(external, state="gone", content=None))

    async def _look_up(self, lost: tuple[ExternalObject, ...]) -> None:
        """Find out which intended objects exist. One not found after `SETTLE_TIME` never will."""

        async def find(call: CallContext) -> dict[int, Existing]:
            self.check_deadline()
            found = await self.adapter.find(call)
            return {existing.generation: existing for existing in reversed(found)}

        found = await self.with_token(find)
        for intended in lost:
            if existing := found.get(intended.generation):
                self._exists(intended, existing)
            else:
                missing = replace(intended, looked_up=True)
                self.change(replace(missing, state="gone") if intended.settled else missing)

    def _exists(self, external: ExternalObject, existing: Existing) -> None:
        """The object exists: it is the subject's object, or it is to be deleted."""
        live = self.observed.live
        alone = live is None or live.generation == external.generation
        state: ObjectState = "live" if existing.usable and alone else "to_delete"
        self.change(
            replace(
                external,
                state="gone" if existing.final else state,
                external_id=existing.external_id,
                content=existing.content,
                data=existing.data,
            )
        )

    # --- what is known, and stored

    @property
    def kind(self) -> str:
        return self.claimed.desired_state.kind

    def _by_generation(self, generation: int) -> ExternalObject:
        known = {each.generation: each for each in self.observed.objects}
        return known.get(generation, ExternalObject(generation, "gone"))

    def _gone(self, generation: int) -> ExternalObject:
        return replace(self._by_generation(generation), state="gone", content=None)

    def change(self, external: ExternalObject) -> None:
        """An object is known to be like this by now."""
        self.observed = self.observed.with_objects(external)
        self.unsaved[external.generation] = external

    def objects(self) -> tuple[ExternalObject, ...]:
        """The objects that have changed since they were last stored."""
        return tuple(self.unsaved.values())

    async def _save(self) -> None:
        """Store what earlier steps have shown before the next call: no crash may lose it."""
        if self.unsaved:
            is_as_given = await claims.record_objects(self.runtime.db, self.claimed, self.objects())
            self.unsaved = {}
            if not is_as_given:
                await self._observe()

    async def _observe(self) -> None:
        state = self.claimed.desired_state
        observed = await claims.get_observed(
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
        self.counted_at = None if limit is None else now
        allowed = await claims.begin_call(
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
