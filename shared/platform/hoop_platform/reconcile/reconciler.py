"""What a service gives the reconciler: the desired content, the plan, an adapter, what to announce."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from hoop_events.base import Event
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.observed_state import ExternalObject, ObservedState
from hoop_platform.reconcile.outcome import Announcement
from hoop_platform.reconcile.plan import LostCalls, Step

D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)


@dataclass(frozen=True)
class Existing:
    """An object as the provider reports it."""

    external_id: str
    content: Mapping[str, Any] | None
    """What it says; None: unknown, so that it is written again."""
    data: Mapping[str, Any]
    generation: int = 0
    """Of an object that a search has found."""
    usable: bool = True
    """Whether it may serve as the subject's object; any other one is deleted."""
    final: bool = False
    """It can neither be changed nor deleted, as a sent mail: it is history at once."""


@dataclass(frozen=True)
class CallContext:
    """What an adapter may need besides the desired state: the access token, the attempt's number."""

    token: str
    subject: str
    provider_user: str
    attempts: int
    settings: Mapping[str, Any]
    """Of the provider account: a calendar's id, for example."""
    desired: Mapping[str, Any] = field(default_factory=dict)
    """The desired state as it is stored."""


class Adapter(Protocol[D_contra]):
    """One provider. Each method raises a `ProviderError` unless its success was verified."""

    @property
    def lost_calls(self) -> LostCalls:
        """What can be done about a create whose response was lost."""

    @property
    def oauth(self) -> OAuthProvider | None:
        """Whose access tokens the calls carry; None: they need no provider account."""

    @property
    def daily_limit(self) -> int | None:
        """The creates, updates and deletes that one user has per UTC day; None: not counted."""

    def intent(self, call: CallContext, generation: int, /) -> ExternalObject:
        """The object about to be created, with the id and the data that are known before the call."""

    async def create(
        self, call: CallContext, desired: D_contra, intended: ExternalObject
    ) -> Existing:
        """Create the object. Raises `ObjectNotFound` when the identity of the intent is used up."""

    async def update(
        self, call: CallContext, desired: D_contra, external: ExternalObject
    ) -> Existing:
        """Write the content. Raises `ObjectNotFound` when the object does not exist any more."""

    async def delete(self, call: CallContext, external: ExternalObject) -> None:
        """Delete the object. Raises `ObjectNotFound` when it does not exist any more."""

    async def find(self, call: CallContext) -> Sequence[Existing]:
        """All objects that carry the subject's mark; only for `lost_calls = "found"`."""


ObstacleKind = Literal["down", "busy", "quota", "rejected", "unusable", "uncertain"]


@dataclass(frozen=True)
class Obstacle:
    """Why the provider does not agree yet.

    down, busy, quota: it follows without anybody's help, perhaps not before `expected_at` · rejected,
    unusable: the provider refuses, or creates something that may not be used · uncertain: nobody knows
    whether the object exists, and nothing more is tried.
    """

    kind: ObstacleKind
    text: str
    expected_at: datetime | None = None


class Reconciler(Generic[D]):
    """One kind of external objects; a service defines a subclass."""

    kind: str

    def adapter(self, provider: str) -> Adapter[D]:
        """The adapter of this provider."""
        raise NotImplementedError

    def read(self, state: DesiredState) -> D:
        """The desired state as the service's own type."""
        raise NotImplementedError

    async def load(self, claimed: Claimed) -> D:
        """As `read`, with what else the attempt needs from the service's own tables, read once."""
        return self.read(claimed.desired_state)

    def plan(
        self, desired: D, observed: ObservedState, *, lost_calls: LostCalls, now: datetime
    ) -> Step:
        """The next step; `lost_calls` is the adapter's. Pure."""
        raise NotImplementedError

    def status(
        self,
        claimed: Claimed,
        desired: D,
        observed: ObservedState,
        obstacle: Obstacle | None,
        *,
        now: datetime,
    ) -> BaseModel | None:
        """The status to announce if it has changed; None: nothing is announced."""

    def initial_status(self, claimed: Claimed) -> Mapping[str, Any] | None:
        """The status that holds before the first announcement, and so is not announced."""

    def event(self, claimed: Claimed, status: Any, sequence: int) -> Event:
        """The event of the `sequence`-th announcement of this desired state."""
        raise NotImplementedError

    def announcement(
        self,
        claimed: Claimed,
        desired: D,
        observed: ObservedState,
        obstacle: Obstacle | None,
        *,
        now: datetime,
    ) -> Announcement | None:
        """The announcement of the status, unless it is the one last announced."""
        status = self.status(claimed, desired, observed, obstacle, now=now)
        if status is None:
            return None
        stored = status.model_dump(mode="json", by_alias=True)
        if stored == (claimed.announced or self.initial_status(claimed)):
            return None
        event = self.event(claimed, status, claimed.announced_sequence + 1)
        return Announcement(stored, event, now)
