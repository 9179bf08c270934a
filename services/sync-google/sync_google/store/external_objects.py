"""Table `external`: the events that we created in Google, and the lease under which they are changed."""

from datetime import datetime
from typing import Any

from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.reconcile.desired_state import Claimed
from sync_google.domain.identifiers import split_subject
from sync_google.domain.plan import EventDraft, ExternalObject


async def list_external_objects(
    db: Tx | Database, account_id: str, subject: str
) -> list[ExternalObject]:
    """The events of an appointment in one connection, of all generations."""
    rows = await db.fetch(
        """
        SELECT *, clock_timestamp() - intent_at AS age FROM external
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 ORDER BY generation
        """,
        account_id,
        subject,
    )
    return [_external_object(row) for row in rows]


def _external_object(row: Row) -> ExternalObject:
    data: dict[str, Any] = row["data"]
    draft = data.get("draft")
    return ExternalObject(
        generation=row["generation"],
        remote_calendar=row["remote_calendar"],
        event_id=row["external_id"],
        state=row["state"],
        etag=row["etag"],
        draft=EventDraft.from_json(draft) if draft else None,
        drifted="drift" in data,
        age=row["age"],
    )


async def get_next_generation(
    db: Tx, account_id: str, subject: str, *, remote_calendar: str
) -> int:
    """The first generation whose event id is not used up.

    An event that an earlier connection left in the same Google calendar is adopted: its generation
    is returned again.
    """
    row = await db.fetchrow(
        """
        SELECT generation, bool_and(state = 'abandoned' AND remote_calendar = $3) AS left_behind
          FROM external
         WHERE account_id = $1 AND kind = 'google-event' AND left(subject, 26) = $2
         GROUP BY generation ORDER BY generation DESC LIMIT 1
        """,
        account_id,
        split_subject(subject)[0],
        remote_calendar,
    )
    if row is None:
        return 1
    return int(row["generation"]) + (0 if row["left_behind"] else 1)


async def upsert_intent(
    db: Tx,
    claimed: Claimed,
    *,
    generation: int,
    connection_id: str,
    remote_calendar: str,
    event_id: str,
) -> None:
    """Store, before the call, which event is about to be created."""
    await db.execute(
        """
        INSERT INTO external (account_id, kind, subject, generation, connection_id,
                              remote_calendar, external_id, state)
        VALUES ($1, 'google-event', $2, $3, $4, $5, $6, 'intended')
        ON CONFLICT (kind, subject, generation) DO UPDATE SET intent_at = clock_timestamp()
        """,
        claimed.desired_state.account_id,
        claimed.desired_state.subject,
        generation,
        connection_id,
        remote_calendar,
        event_id,
    )


async def update_live(
    db: Tx, claimed: Claimed, generation: int, *, etag: str, draft: EventDraft | None
) -> None:
    """The event exists and has these fields (None: unknown). An abandoned event stays abandoned."""
    await db.execute(
        """
        UPDATE external
           SET etag = $4, data = $5, intent_at = clock_timestamp(),
               state = CASE WHEN state = 'abandoned' THEN state ELSE 'live' END
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
        """,
        claimed.desired_state.account_id,
        claimed.desired_state.subject,
        generation,
        etag,
        {"draft": draft.as_json()} if draft else {},
    )


async def update_gone(db: Tx, claimed: Claimed, generation: int) -> None:
    """The event does not exist (any more); its id cannot be used again."""
    await db.execute(
        """
        UPDATE external SET state = 'gone', etag = NULL, data = '{}'
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
           AND state <> 'abandoned'
        """,
        claimed.desired_state.account_id,
        claimed.desired_state.subject,
        generation,
    )


async def lock_lease(db: Tx, claimed: Claimed) -> bool:
    """Lock the desired state until this transaction ends; True if the lease is still ours."""
    token = await db.fetchval(
        """
        SELECT lease_token FROM work
         WHERE kind = $1 AND subject = $2 AND lease_until > clock_timestamp() FOR UPDATE
        """,
        claimed.desired_state.kind,
        claimed.desired_state.subject,
    )
    return bool(token == claimed.lease_token)


async def update_requeued(db: Tx, claimed: Claimed, generation: int) -> None:
    """Mark the event's state as unknown and its desired state as due.

    For a worker that changed the event in Google after it had lost the lease: the next attempt has
    to look the event up.
    """
    await db.execute(
        """
        UPDATE external
           SET state = CASE WHEN state = 'abandoned' THEN state ELSE 'intended' END,
               etag = NULL, data = '{}', intent_at = clock_timestamp()
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
        """,
        claimed.desired_state.account_id,
        claimed.desired_state.subject,
        generation,
    )
    await db.execute(
        """
        UPDATE work SET status = 'due', next_attempt_at = clock_timestamp()
         WHERE kind = $1 AND subject = $2 AND account_id = $3 AND status = 'done'
        """,
        claimed.desired_state.kind,
        claimed.desired_state.subject,
        claimed.desired_state.account_id,
    )


async def update_abandoned(db: Tx, account_id: str, connection_id: str) -> None:
    """The connection was ended: its events stay in Google and are not changed by it again."""
    await db.execute(
        """
        UPDATE external SET state = 'abandoned'
         WHERE account_id = $1 AND kind = 'google-event' AND connection_id = $2
           AND state IN ('intended', 'live')
        """,
        account_id,
        connection_id,
    )


async def upsert_push_failure(db: Tx, account_id: str, subject: str) -> int:
    """Count the announced failures of a subject; returns the sequence of the next announcement."""
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


async def get_database_time(db: Database) -> datetime:
    """Postgres' clock, by which attempts, leases and circuits are timed."""
    moment: datetime = await db.fetchval("SELECT clock_timestamp()")
    return moment


async def get_transaction_time(db: Tx) -> datetime:
    """The begin of the present transaction, by Postgres' clock."""
    moment: datetime = await db.fetchval("SELECT now()")
    return moment


async def count_open_pushes(db: Database, connection_id: str) -> int:
    """How many desired states of this connection's events are due."""
    count: int = await db.fetchval(
        """
        SELECT count(*) FROM work
         WHERE kind = 'google-event' AND status = 'due' AND right(subject, 26) = $1
        """,
        connection_id,
    )
    return count
