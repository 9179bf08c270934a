"""The daily quota of a provider's user: how many calls are allowed now, and when the next day's begin."""

import hashlib
from datetime import UTC, date, datetime, time, timedelta

from hoop_platform.db.database import Database
from hoop_platform.reconcile.desired_state import DesiredState

RESERVE = 20
"""Calls of each day that are kept for sessions that start soon."""
SOON = timedelta(hours=24)
SPREAD_SECONDS = 60
CLOCK_DOUBT = timedelta(minutes=5)
"""How long after our midnight the provider may still count for the day before: its clock is not ours."""


def is_urgent(start: datetime, *, now: datetime) -> bool:
    """Whether a session starts so soon that its calls may use the reserve."""
    return start - now < SOON


def allowance(limit: int, *, urgent: bool) -> int:
    """The number of calls on one day at which no further call is allowed."""
    return limit if urgent else limit - min(RESERVE, limit // 5)


def midnight_before(now: datetime) -> datetime:
    """The latest 00:00 UTC, when the count started (Zoom's limit is per UTC day)."""
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)


def midnight_after(now: datetime) -> datetime:
    """The next 00:00 UTC, when the count starts again."""
    return midnight_before(now) + timedelta(days=1)


def release_after(now: datetime, provider_user: str) -> datetime:
    """When the desired states of this provider's user that wait for the next day are tried again.

    Up to a minute after midnight. Each user has an own moment, so that not all users call at once;
    all desired states of one user have the same moment, so that the soonest session comes first.
    """
    digest = hashlib.sha256(provider_user.encode()).digest()
    return midnight_after(now) + timedelta(seconds=1 + digest[0] % SPREAD_SECONDS)


def is_in_doubt(counted_at: datetime) -> bool:
    """Whether a refused call of this time may have been one of the day before for the provider."""
    return counted_at - midnight_before(counted_at) < CLOCK_DOUBT


async def exhaust_quota(database: Database, state: DesiredState, *, day: date) -> None:
    """Store that the provider says its user's quota of a day is used up, by other apps as well as by us.

    A day on which no call was counted is left alone: the refusal is not about that day.
    """
    await database.execute(
        """
        UPDATE provider_quota SET exhausted = true
         WHERE account_id = $1 AND provider = $2 AND provider_user = $3 AND day = $4 AND calls > 0
        """,
        state.account_id,
        state.provider,
        state.provider_user,
        day,
    )
