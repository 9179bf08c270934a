"""What was made in Google for each appointment, and whether the right to change it still holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.reconcile.desired_state import Claimed
from sync_google.domain import Draft, Made, parts_of

KIND = "google-event"


async def made_for(db: Tx | Database, account_id: str, subject: str) -> list[Made]:
    """The events of an appointment in one connection, of all generations."""
    rows = await db.fetch(
        """
        SELECT *, clock_timestamp() - intent_at AS age FROM external
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 ORDER BY generation
        """,
        account_id,
        subject,
    )
    return [_made(row) for row in rows]


def _made(row: Row) -> Made:
    said: dict[str, Any] = row["data"]
    draft = said.get("draft")
    return Made(
        generation=row["generation"],
        remote_calendar=row["remote_calendar"],
        event_id=row["external_id"],
        state=row["state"],
        etag=row["etag"],
        draft=Draft.from_json(draft) if draft else None,
        drifted="drift" in said,
        age=row["age"],
    )


async def next_generation(db: Tx, account_id: str, subject: str, *, remote_calendar: str) -> int:
    """The first generation whose id is not spent.

    What an earlier connection left in the same calendar is taken over: it has the id already.
    """
    row = await db.fetchrow(
        """
        SELECT generation, bool_and(state = 'abandoned' AND remote_calendar = $3) AS left_behind
          FROM external
         WHERE account_id = $1 AND kind = 'google-event' AND left(subject, 26) = $2
         GROUP BY generation ORDER BY generation DESC LIMIT 1
        """,
        account_id,
        parts_of(subject)[0],
        remote_calendar,
    )
    if row is None:
        return 1
    return int(row["generation"]) + (0 if row["left_behind"] else 1)


async def intend(
    db: Tx,
    mine: Claimed,
    *,
    generation: int,
    connection_id: str,
    remote_calendar: str,
    event_id: str,
) -> None:
    """Say, before the call, what is about to be made."""
    await db.execute(
        """
        INSERT INTO external (account_id, kind, subject, generation, connection_id,
                              remote_calendar, external_id, state)
        VALUES ($1, 'google-event', $2, $3, $4, $5, $6, 'intended')
        ON CONFLICT (kind, subject, generation) DO UPDATE SET intent_at = clock_timestamp()
        """,
        mine.desired_state.account_id,
        mine.desired_state.subject,
        generation,
        connection_id,
        remote_calendar,
        event_id,
    )


async def record_live(
    db: Tx, mine: Claimed, generation: int, *, etag: str, draft: Draft | None
) -> None:
    """It exists and says this. What a connection made that was ended meanwhile stays history."""
    await db.execute(
        """
        UPDATE external
           SET etag = $4, data = $5, intent_at = clock_timestamp(),
               state = CASE WHEN state = 'abandoned' THEN state ELSE 'live' END
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
        """,
        mine.desired_state.account_id,
        mine.desired_state.subject,
        generation,
        etag,
        {"draft": draft.as_json()} if draft else {},
    )


async def record_gone(db: Tx, mine: Claimed, generation: int) -> None:
    """It does not exist (any more), and its id is spent."""
    await db.execute(
        """
        UPDATE external SET state = 'gone', etag = NULL, data = '{}'
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
           AND state <> 'abandoned'
        """,
        mine.desired_state.account_id,
        mine.desired_state.subject,
        generation,
    )


async def holds(db: Tx, mine: Claimed) -> bool:
    """Whether the wish is still ours; nobody can take it before this transaction ends."""
    token = await db.fetchval(
        """
        SELECT lease_token FROM work
         WHERE kind = $1 AND subject = $2 AND lease_until > clock_timestamp() FOR UPDATE
        """,
        mine.desired_state.kind,
        mine.desired_state.subject,
    )
    return bool(token == mine.lease_token)


async def look_again(db: Tx, mine: Claimed, generation: int) -> None:
    """We changed something after having lost the right to: somebody has to find out what is there."""
    await db.execute(
        """
        UPDATE external
           SET state = CASE WHEN state = 'abandoned' THEN state ELSE 'intended' END,
               etag = NULL, data = '{}', intent_at = clock_timestamp()
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
        """,
        mine.desired_state.account_id,
        mine.desired_state.subject,
        generation,
    )
    await db.execute(
        """
        UPDATE work SET status = 'due', next_attempt_at = clock_timestamp()
         WHERE kind = $1 AND subject = $2 AND account_id = $3 AND status = 'done'
        """,
        mine.desired_state.kind,
        mine.desired_state.subject,
        mine.desired_state.account_id,
    )


async def abandon(db: Tx, account_id: str, connection_id: str) -> None:
    """The connection was ended: what it made stays in Google and is never touched again."""
    await db.execute(
        """
        UPDATE external SET state = 'abandoned'
         WHERE account_id = $1 AND kind = 'google-event' AND connection_id = $2
           AND state IN ('intended', 'live')
        """,
        account_id,
        connection_id,
    )


async def note_failure(db: Tx, account_id: str, subject: str) -> int:
    """Count what is announced about this pair."""
    sequence: int = await db.fetchval(
        """
        INSERT INTO push_failure AS f (account_id, subject, sequence) VALUES ($1, $2, 1)
        ON CONFLICT (account_id, subject) DO UPDATE SET sequence = f.sequence + 1
        RETURNING sequence
        """,
        account_id,
        subject,
    )
    return sequence


async def database_time(db: Database) -> datetime:
    """The clock that attempts and gates go by."""
    moment: datetime = await db.fetchval("SELECT clock_timestamp()")
    return moment


async def transaction_time(db: Tx) -> datetime:
    """When the present transaction began."""
    moment: datetime = await db.fetchval("SELECT now()")
    return moment


@dataclass(frozen=True)
class Place:
    """Where a connection writes to; `remote_calendar` None: nowhere (any more)."""

    status: str
    remote_calendar: str | None


async def place_of(db: Database, account_id: str, connection_id: str) -> Place:
    """The connection's state; one that is unknown counts as ended."""
    row = await db.fetchrow(
        """
        SELECT c.status, f.remote_calendar FROM provider_account AS c
          LEFT JOIN feed AS f ON f.account_id = c.account_id AND f.connection_id = c.id
         WHERE c.account_id = $1 AND c.id = $2
        """,
        account_id,
        connection_id,
    )
    return Place(row["status"], row["remote_calendar"]) if row else Place("disconnected", None)


async def open_pushes(db: Database, connection_id: str) -> int:
    """How many wishes of this connection are not fulfilled yet."""
    count: int = await db.fetchval(
        """
        SELECT count(*) FROM work
         WHERE kind = 'google-event' AND status = 'due' AND right(subject, 26) = $1
        """,
        connection_id,
    )
    return count
