"""Reconciling events: what the platform's reconciler needs to know of an appointment's Google event."""

from datetime import datetime

from pydantic import BaseModel
from typing_extensions import override

from hoop_events.effects import CalendarPushFailed, FailedPush
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.observed_state import ObservedState
from hoop_platform.reconcile.plan import LostCalls, Step
from hoop_platform.reconcile.reconciler import Obstacle, Reconciler
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.domain.identifiers import EVENT_KIND, split_subject
from sync_google.domain.plan import DesiredEvent, plan
from sync_google.providers.google.adapter import GoogleAdapter


class PushFailure(BaseModel):
    """Google will never take this state of the appointment, the one with this sequence."""

    reason: str
    sequence: int


class EventReconciler(Reconciler[DesiredEvent]):
    """The event of one appointment in one connected calendar, `<appointment>.<connection>`."""

    kind = EVENT_KIND

    def __init__(self, runtime: Runtime[Settings]) -> None:
        self._adapter = GoogleAdapter(runtime)

    @override
    def adapter(self, provider: str) -> GoogleAdapter:
        return self._adapter

    @override
    def read(self, state: DesiredState) -> DesiredEvent:
        return DesiredEvent.from_json(state.desired)

    @override
    def plan(
        self,
        desired: DesiredEvent,
        observed: ObservedState,
        *,
        lost_calls: LostCalls,
        now: datetime,
    ) -> Step:
        return plan(desired, observed, lost_calls=lost_calls)

    @override
    def status(
        self,
        claimed: Claimed,
        desired: DesiredEvent,
        observed: ObservedState,
        obstacle: Obstacle | None,
        *,
        now: datetime,
    ) -> PushFailure | None:
        """Only failures are announced, each state's once."""
        if obstacle is None or obstacle.kind not in ("rejected", "unusable"):
            return None
        return PushFailure(reason=obstacle.text, sequence=desired.sequence)

    @override
    def event(self, claimed: Claimed, status: PushFailure, sequence: int) -> CalendarPushFailed:
        state = claimed.desired_state
        appointment_id, connection_id = split_subject(state.subject)
        failed = FailedPush(
            id=state.subject,
            sequence=sequence,
            appointment_id=appointment_id,
            connection_id=connection_id,
            reason=status.reason,
        )
        return CalendarPushFailed(account_id=state.account_id, state=failed)
