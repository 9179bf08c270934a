"""How many changes a provider's user may cause on one UTC day, and when the rest goes on."""

import hashlib
from datetime import UTC, datetime, time, timedelta

RESERVE = 20
"""Calls of a day kept for sessions that start soon."""
SOON = timedelta(hours=24)
SPREAD_SECONDS = 60


def is_urgent(start: datetime, *, now: datetime) -> bool:
    """Whether a session starts so soon that it may use the reserve."""
    return start - now < SOON


def allowance(limit: int, *, urgent: bool) -> int:
    """How many of the day's calls may have been made for one more to be made."""
    return limit if urgent else limit - min(RESERVE, limit // 5)


def midnight_after(now: datetime) -> datetime:
    """The next 00:00 UTC, when the count begins anew (Zoom's limit is per UTC day)."""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), UTC)


def release_after(now: datetime, provider_user: str) -> datetime:
    """When what waits for the new day of this provider's user is tried again.

    A little after midnight, at a moment of its own for each user, so that not all of them call at
    once; the same moment for all wishes of one user, so that the soonest session stays first.
    """
    digest = hashlib.sha256(provider_user.encode()).digest()
    return midnight_after(now) + timedelta(seconds=1 + digest[0] % SPREAD_SECONDS)
