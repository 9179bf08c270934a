"""The daily quota of a provider's user: how many calls are allowed now, and when the next day's begin."""

import hashlib
from datetime import UTC, date, datetime, time, timedelta

from hoop_platform.db.database import Database
from hoop_platform.reconcile.desired_state import DesiredState

RESERVE = 20
"""Calls of each day that are kept for sessions that start soon."""
SOON = timedelta(hours=24)
SPREAD_SECONDS = 60


def is_urgent(start: datetime, *, now: datetime) -> bool:
    """Whether a session starts so soon that its calls may use the reserve."""
    return start - now < SOON


def allowance(limit: int, *, urgent: bool) -> int:
    """The number of calls on one day at which no further call is allowed."""
    return limit if urgent else limit - min(RESERVE, limit // 5)


def midnight_after(now: datetime) -> datetime:
    """The next 00:00 UTC, when the count starts again (Zoom's limit is per UTC day)."""
    tomorrow = now.astimezone(UTC).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), UTC)


def release_after(now: datetime, provider_user: str) -> datetime:
    """When the desired states of this provider's user that wait for the next day are tried again.

    Up to a minute after midnight. Each user has an own moment, so that not all users call at once;
    all desired states of one user have the same moment, so that the soonest session comes first.
    """
    digest = hashlib.sha256(provider_user.encode()).digest()
    return midnight_after(now) + timedelta(seconds=1 + digest[0] % SPREAD_SECONDS)


async def exhaust_quota(database: Database, state: DesiredState, *, day: date) -> None:
    """Store that the provider says its user's quota is used up, by other apps as well as by us."""
    await database.execute(
        """
        INSERT INTO provider_quota (account_id, provider, provider_user, day, exhausted)
        VALUES ($1, $2, $3, $4, true)
        ON CONFLICT (provider, provider_user, day, account_id) DO UPDATE SET exhausted = true
        """,
        state.account_id,
        state.provider,
        state.provider_user,
        day,
    )
