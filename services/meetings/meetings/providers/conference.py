"""What a provider of online meetings consists of: its adapter, its OAuth, who a token belongs to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hoop_platform.providers.authorization import Identity
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.reconcile.reconciler import Adapter
from hoop_platform.runtime import Runtime
from meetings.config import MeetingsSettings
from meetings.domain.sessions import DesiredMeeting


class MeetingAdapter(Adapter[DesiredMeeting], Protocol):
    """An adapter of meetings. `data` of an object holds `joinUrl`, the verified link."""

    async def identify(self, token: str) -> Identity:
        """The provider's user whose token this is. Raises `ProviderDown`."""

    async def start_url(self, token: str, external_id: str) -> str:
        """A fresh start link for the host. It must be neither stored nor logged."""


@dataclass(frozen=True)
class Conference:
    """One provider, as its module offers it to the registry."""

    name: str
    label: str
    """The name that people know."""
    location_types: frozenset[str]
    """The `meetingLocationType`s of appointments that meet there."""
    oauth: Callable[[MeetingsSettings], OAuthProvider]
    adapter: Callable[[Runtime[MeetingsSettings]], MeetingAdapter]
