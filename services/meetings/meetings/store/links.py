"""The link of each session as last announced, and how far the attempts to create it have come."""

from dataclasses import dataclass
from datetime import datetime

from hoop_events.booking import Meeting
from hoop_platform.db.database import Database, Tx
from meetings.domain.sessions import MeetingKey


@dataclass(frozen=True)
class AttemptStatus:
    """The status of a session's desired state."""

    status: str
    attempts: int
    last_error: str | None
    next_at: datetime | None
    """By the database's clock; None when no further attempt is due."""


async def get_link(db: Tx | Database, key: MeetingKey) -> tuple[Meeting, int] | None:
    """The link as last announced, and the sequence of that announcement."""
    row = await db.fetchrow(
        """
        SELECT meeting, sequence FROM link
         WHERE account_id = $1 AND session = $2 AND provider = $3
        """,
        key.account_id,
        key.session,
        key.provider,
    )
    return (Meeting.model_validate(row["meeting"]), row["sequence"]) if row else None


async def upsert_link(db: Tx, key: MeetingKey, meeting: Meeting, sequence: int) -> None:
    await db.execute(
        """
        INSERT INTO link (account_id, session, provider, meeting, sequence)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, session, provider) DO UPDATE SET meeting = $4, sequence = $5
        """,
        key.account_id,
        key.session,
        key.provider,
        meeting.model_dump(mode="json", by_alias=True),
        sequence,
    )


async def get_attempt_status(db: Database, key: MeetingKey) -> AttemptStatus | None:
    """The attempts made for a session's meeting, and when the next one is due."""
    row = await db.fetchrow(
        """
        SELECT w.status, w.attempts, w.last_error,
               CASE WHEN w.status = 'due' THEN greatest(w.next_attempt_at, c.open_until) END AS next_at
          FROM work AS w
          LEFT JOIN circuit AS c ON c.provider = w.provider AND c.provider_user = w.provider_user
         WHERE w.account_id = $1 AND w.kind = 'meeting' AND w.subject = $2
        """,
        key.account_id,
        key.subject,
    )
    return AttemptStatus(**dict(row)) if row else None
