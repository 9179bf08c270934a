"""What any provider of online meetings can be asked for, and the ways in which it can fail us."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


class ProviderTrouble(Exception):
    """The provider did not do as asked."""


class Refusal(ProviderTrouble):
    """It certainly did nothing: it said so, or the call never reached it."""


class Unsure(ProviderTrouble):
    """It may or may not have done it: no answer, or none that can be verified."""


class NotReached(Refusal):
    """No connection could be made."""


class TokenRejected(Refusal):
    """401: the access token is no longer worth anything."""


class ScopeLost(Refusal):
    """The connection lacks a permission that the call needs."""


class NotThere(Refusal):
    """The meeting does not exist (any more)."""


class Rejected(Refusal):
    """It will not do this, now or later; the text says why."""


class TooMany(Refusal):
    """429. `wait` as the provider says it, if it does; `daily`: the whole day is used up."""

    def __init__(self, text: str, *, wait: timedelta | None, daily: bool) -> None:
        super().__init__(text)
        self.wait = wait
        self.daily = daily


@dataclass(frozen=True)
class Draft:
    """A meeting as we want it."""

    session: str
    generation: int
    topic: str
    start: datetime
    minutes: int
    time_zone: str


@dataclass(frozen=True)
class Found:
    """A meeting of ours at the provider. Without `join_url`: it has none that we would show."""

    generation: int
    external_id: str
    join_url: str | None
    topic: str
    minutes: int


class Adapter(Protocol):
    """One provider. All of it raises `ProviderTrouble`; nothing is a success that is not verified."""

    @property
    def daily_limit(self) -> int:
        """How many creates, updates and deletes one of its users has a day (UTC)."""

    async def create(self, token: str, draft: Draft) -> Found:
        """Make the meeting, marked with its session and generation."""

    async def update(self, token: str, external_id: str, *, topic: str, minutes: int) -> None:
        """Change what may change without a new link."""

    async def delete(self, token: str, external_id: str) -> None:
        """Drop the meeting for good."""

    async def find(self, token: str, session: str) -> Sequence[Found]:
        """All meetings that carry the session's mark. Reads only."""

    async def start_url(self, token: str, external_id: str) -> str:
        """The host's own way in, fresh; to be passed on and forgotten."""
