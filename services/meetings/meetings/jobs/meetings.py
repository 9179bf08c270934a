"""Reconciling meetings: what the platform's reconciler needs to know of a session's meeting."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hoop_events.booking import Meeting
from hoop_events.effects import MeetingLink, MeetingLinkChanged
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.observed_state import ObservedState
from hoop_platform.reconcile.plan import LostCalls, Step
from hoop_platform.reconcile.reconciler import Obstacle, Reconciler
from hoop_platform.runtime import Runtime
from meetings import handlers
from meetings.config import MeetingsSettings
from meetings.domain.plan import plan
from meetings.domain.sessions import DesiredMeeting, MeetingKey
from meetings.domain.status import meeting_status
from meetings.providers.conference import MeetingAdapter
from meetings.providers.registry import PROVIDERS


class MeetingReconciler(Reconciler[DesiredMeeting]):
    """The meeting of one session at one provider, `<session>.<provider>`."""

    kind = handlers.MEETING

    def __init__(self, runtime: Runtime[MeetingsSettings]) -> None:
        self._runtime = runtime

    def adapter(self, provider: str) -> MeetingAdapter:
        return PROVIDERS[provider].adapter(self._runtime)

    def read(self, state: DesiredState) -> DesiredMeeting:
        return DesiredMeeting.from_json(state.desired)

    def plan(
        self,
        desired: DesiredMeeting,
        observed: ObservedState,
        *,
        lost_calls: LostCalls,
        now: datetime,
    ) -> Step:
        return plan(desired, observed, lost_calls=lost_calls, now=now)

    def status(
        self,
        claimed: Claimed,
        desired: DesiredMeeting,
        observed: ObservedState,
        obstacle: Obstacle | None,
        *,
        now: datetime,
    ) -> Meeting:
        conference = PROVIDERS[claimed.desired_state.provider]
        name, label = conference.name, conference.label
        return meeting_status(name, label, desired, observed, obstacle, now=now)

    def initial_status(self, claimed: Claimed) -> Mapping[str, Any]:
        provider = claimed.desired_state.provider
        none = Meeting.model_validate({"provider": provider})
        return none.model_dump(mode="json", by_alias=True)

    def event(self, claimed: Claimed, status: Meeting, sequence: int) -> MeetingLinkChanged:
        state = claimed.desired_state
        key = MeetingKey.from_subject(state.account_id, state.subject)
        link = {
            "id": key.subject,
            "sequence": sequence,
            "session": key.session,
            "provider": key.provider,
            "meeting": status,
        }
        return MeetingLinkChanged(account_id=key.account_id, state=MeetingLink.model_validate(link))
