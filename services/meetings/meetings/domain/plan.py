"""The plan: the next step from the observed state of a session's meetings to the desired meeting."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from meetings.domain.sessions import DesiredMeeting, HostAccount

SETTLE_TIME = timedelta(seconds=30)
"""After this a call without a response has had its effect or never will: three times the timeout."""


@dataclass(frozen=True)
class ExternalObject:
    """A meeting that exists, or may exist, at the provider. `age` is the time since its intent."""

    generation: int
    connection_id: str
    state: Literal["intended", "live", "to_delete", "gone", "abandoned"]
    external_id: str | None
    join_url: str | None
    topic: str | None
    minutes: int | None
    looked_up: bool
    """The provider was searched for the meeting after the intent, and did not have it (yet)."""
    age: timedelta


@dataclass(frozen=True)
class ObservedState:
    """The host's provider account, and all meetings ever created for one session."""

    account: HostAccount | None
    objects: Sequence[ExternalObject]

    @property
    def ours(self) -> list[ExternalObject]:
        """The meetings created through the present connection; those of earlier ones are history."""
        connection_id = self.account.connection_id if self.account else None
        return [found for found in self.objects if found.connection_id == connection_id]

    @property
    def live(self) -> ExternalObject | None:
        """The one meeting whose link is shown; any other meeting is to be deleted."""
        return next((found for found in self.ours if found.state == "live"), None)

    @property
    def detached(self) -> ExternalObject | None:
        """The meeting of an ended connection: it stays at the provider, and its link is shown."""
        past = [
            found
            for found in self.objects
            if found not in self.ours and found.state in ("live", "abandoned")
        ]
        return next((found for found in past if found.join_url), None)


@dataclass(frozen=True)
class InSync:
    """The provider agrees with the desired meeting, or it is too late to change anything."""


@dataclass(frozen=True)
class AwaitConnection:
    """A call is needed, and the host has no active provider account."""


@dataclass(frozen=True)
class LookUpMeetings:
    """Find out whether the calls without a response have created a meeting."""


@dataclass(frozen=True)
class CreateMeeting:
    generation: int


@dataclass(frozen=True)
class DeleteMeeting:
    meeting: ExternalObject


@dataclass(frozen=True)
class UpdateMeeting:
    meeting: ExternalObject


@dataclass(frozen=True)
class LookUpLater:
    """The provider agrees, but a call without a response may still take effect within `wait`."""

    wait: timedelta


Step = (
    InSync
    | AwaitConnection
    | LookUpMeetings
    | CreateMeeting
    | DeleteMeeting
    | UpdateMeeting
    | LookUpLater
)


def next_step(desired: DesiredMeeting, observed: ObservedState, *, now: datetime) -> Step:
    """The next step towards exactly one meeting if one is needed, and none otherwise."""
    if desired.end <= now:
        return InSync()
    connected = observed.account is not None and observed.account.active
    match _next_if_connected(desired, observed):
        case InSync() as in_sync:
            return in_sync
        case step:
            return step if connected else AwaitConnection()


def _next_if_connected(desired: DesiredMeeting, observed: ObservedState) -> Step:
    lost = [found for found in observed.ours if found.state == "intended"]
    if any(not found.looked_up or found.age >= SETTLE_TIME for found in lost):
        return LookUpMeetings()
    if unneeded := _unneeded(desired, observed):
        return DeleteMeeting(unneeded[0])
    if desired.phase == "needed" and observed.live is None and observed.detached is None:
        return CreateMeeting(1 + max((found.generation for found in observed.objects), default=0))
    if update := _update(desired, observed):
        return update
    return LookUpLater(max(SETTLE_TIME - found.age for found in lost)) if lost else InSync()


def _unneeded(desired: DesiredMeeting, observed: ObservedState) -> list[ExternalObject]:
    states = ("to_delete",) if desired.phase == "needed" else ("to_delete", "live")
    return [found for found in observed.ours if found.state in states]


def _update(desired: DesiredMeeting, observed: ObservedState) -> UpdateMeeting | None:
    live = observed.live
    if desired.phase != "needed" or live is None:
        return None
    same = (live.topic, live.minutes) == (desired.topic, desired.minutes)
    return None if same else UpdateMeeting(live)
