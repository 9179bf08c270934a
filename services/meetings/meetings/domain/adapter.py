"""The interface of a provider of online meetings, and the meetings sent to it and read from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class MeetingDraft:
    """A meeting to be created."""

    session: str
    generation: int
    topic: str
    start: datetime
    minutes: int
    time_zone: str


@dataclass(frozen=True)
class ProviderMeeting:
    """A meeting of ours as the provider reports it.

    `join_url` is None when the provider's link fails verification and must not be shown.
    """

    generation: int
    external_id: str
    join_url: str | None
    topic: str
    minutes: int


class MeetingAdapter(Protocol):
    """One provider. Every method raises a `ProviderError` unless its success was verified."""

    @property
    def daily_limit(self) -> int:
        """The creates, updates and deletes that one user of the provider has per UTC day."""

    async def create(self, token: str, draft: MeetingDraft) -> ProviderMeeting:
        """Create the meeting, marked with its session and generation."""

    async def update(self, token: str, external_id: str, *, topic: str, minutes: int) -> None:
        """Change the topic and the length. The join link stays the same."""

    async def delete(self, token: str, external_id: str) -> None:
        """Delete the meeting. Raises `ObjectNotFound` when it does not exist any more."""

    async def find(self, token: str, session: str) -> Sequence[ProviderMeeting]:
        """List all meetings that carry the session's mark."""

    async def start_url(self, token: str, external_id: str) -> str:
        """Return a fresh start link for the host. It must be neither stored nor logged."""
