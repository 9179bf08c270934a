"""What is known of a session's meeting: its status as last announced, its attempts, its objects."""

from dataclasses import dataclass
from datetime import datetime

from hoop_events.booking import Meeting
from hoop_platform.db.database import Database
from hoop_platform.reconcile.observed_state import ObservedState
from meetings.domain.sessions import MeetingKey


@dataclass(frozen=True)
class MeetingProgress:
    """A session's meeting as last announced, and how far the attempts to make it have come."""

    announced: Meeting | None
    attempts: int
    last_error: str | None
    next_at: datetime | None
    """By the database's clock; None when no further attempt is due."""
    observed: ObservedState


async def get_progress(db: Database, key: MeetingKey) -> MeetingProgress | None:
    """The progress of a session's meeting; None when no meeting was ever desired."""
    row = await db.fetchrow(
        """
        SELECT w.announced, w.attempts, w.last_error, attempt_context(w) AS context,
               CASE WHEN w.status IN ('due', 'waiting')
                    THEN greatest(w.next_attempt_at, c.open_until) END AS next_at
          FROM work AS w
          LEFT JOIN circuit AS c ON c.provider = w.provider AND c.provider_user = w.provider_user
         WHERE w.account_id = $1 AND w.kind = 'meeting' AND w.subject = $2
        """,
        key.account_id,
        key.subject,
    )
    if row is None:
        return None
    return MeetingProgress(
        announced=Meeting.model_validate(row["announced"]) if row["announced"] else None,
        attempts=row["attempts"],
        last_error=row["last_error"],
        next_at=row["next_at"],
        observed=ObservedState.of_context(key.account_id, row["context"]),
    )
