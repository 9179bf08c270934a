"""What was announced about the link of a session, and how far the attempts to make it have come."""

from dataclasses import dataclass
from datetime import datetime

from hoop_events.booking import Meeting
from hoop_platform.db.database import Database, Tx
from meetings.domain import Place


@dataclass(frozen=True)
class Attempts:
    """How it stands with a wish."""

    status: str
    attempts: int
    last_error: str | None
    next_at: datetime | None
    """The database's clock; None when nothing more is to be tried."""


async def link(db: Tx | Database, place: Place) -> tuple[Meeting, int] | None:
    """The link as last announced, and the number of that announcement."""
    row = await db.fetchrow(
        """
        SELECT meeting, sequence FROM link
         WHERE account_id = $1 AND session = $2 AND provider = $3
        """,
        place.account_id,
        place.session,
        place.provider,
    )
    return (Meeting.model_validate(row["meeting"]), row["sequence"]) if row else None


async def save_link(db: Tx, place: Place, meeting: Meeting, sequence: int) -> None:
    await db.execute(
        """
        INSERT INTO link (account_id, session, provider, meeting, sequence)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, session, provider) DO UPDATE SET meeting = $4, sequence = $5
        """,
        place.account_id,
        place.session,
        place.provider,
        meeting.model_dump(mode="json", by_alias=True),
        sequence,
    )


async def attempts(db: Database, place: Place) -> Attempts | None:
    """What the job has tried for this place, and when it goes on."""
    row = await db.fetchrow(
        """
        SELECT w.status, w.attempts, w.last_error,
               CASE WHEN w.status = 'due' THEN greatest(w.next_attempt_at, g.open_until) END AS next_at
          FROM work AS w
          LEFT JOIN circuit AS g ON g.provider = w.provider AND g.provider_user = w.provider_user
         WHERE w.account_id = $1 AND w.kind = 'meeting' AND w.subject = $2
        """,
        place.account_id,
        place.subject,
    )
    return Attempts(**dict(row)) if row else None
