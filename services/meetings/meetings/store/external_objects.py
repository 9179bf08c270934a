"""The meetings that exist, or may exist, at the providers: the `external` rows of kind `meeting`.

An intent is stored before a call that creates a meeting, and only under the lease. What a provider
has answered is a fact: it is stored even when the lease was lost meanwhile.
"""

from datetime import datetime

from hoop_platform.db.database import Database, Tx
from hoop_platform.reconcile.desired_state import Claimed
from meetings.domain.adapter import ProviderMeeting
from meetings.domain.plan import ExternalObject
from meetings.domain.sessions import MeetingKey


async def list_external_objects(db: Database | Tx, key: MeetingKey) -> list[ExternalObject]:
    """All meetings ever created for a session, oldest first."""
    rows = await db.fetch(
        """
        SELECT generation, connection_id, state, external_id, data,
               clock_timestamp() - intent_at AS age
          FROM external WHERE account_id = $1 AND kind = 'meeting' AND subject = $2
         ORDER BY generation
        """,
        key.account_id,
        key.subject,
    )
    return [
        ExternalObject(
            generation=row["generation"],
            connection_id=row["connection_id"],
            state=row["state"],
            external_id=row["external_id"],
            join_url=row["data"].get("joinUrl"),
            topic=row["data"].get("topic"),
            minutes=row["data"].get("minutes"),
            looked_up=row["data"].get("lookedUp", False),
            age=row["age"],
        )
        for row in rows
    ]


async def exists_live(db: Tx, key: MeetingKey) -> bool:
    """Whether the session has a live meeting."""
    exists: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM external WHERE account_id = $1 AND kind = 'meeting'
                          AND subject = $2 AND state = 'live')
        """,
        key.account_id,
        key.subject,
    )
    return exists


async def is_current(db: Tx, claimed: Claimed) -> bool:
    """Whether we still hold the lease of a desired state, and it has not changed since the claim."""
    current: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM work
                        WHERE account_id = $1 AND kind = $2 AND subject = $3 AND lease_token = $4
                          AND lease_until > clock_timestamp() AND desired_sequence = $5)
        """,
        claimed.desired_state.account_id,
        claimed.desired_state.kind,
        claimed.desired_state.subject,
        claimed.lease_token,
        claimed.desired_state.sequence,
    )
    return current


async def is_leased(db: Tx, claimed: Claimed) -> bool:
    """Whether we still hold the lease of a desired state, changed since the claim or not."""
    leased: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM work
                        WHERE account_id = $1 AND kind = $2 AND subject = $3 AND lease_token = $4
                          AND lease_until > clock_timestamp())
        """,
        claimed.desired_state.account_id,
        claimed.desired_state.kind,
        claimed.desired_state.subject,
        claimed.lease_token,
    )
    return leased


async def upsert_intent(db: Tx, key: MeetingKey, generation: int, connection_id: str) -> None:
    """Store that a meeting of this generation is about to be created."""
    await db.execute(
        """
        INSERT INTO external AS e (account_id, kind, subject, generation, connection_id, state)
        VALUES ($1, 'meeting', $2, $3, $4, 'intended')
        ON CONFLICT (kind, subject, generation) DO UPDATE
           SET state = 'intended', intent_at = clock_timestamp(), data = '{}'
         WHERE e.account_id = $1 AND e.external_id IS NULL
        """,
        key.account_id,
        key.subject,
        generation,
        connection_id,
    )


async def update_existing(db: Tx, key: MeetingKey, meeting: ProviderMeeting) -> None:
    """Store that a meeting exists. The caller has locked the session.

    It is live if its link may be shown and no other meeting of the session is live; else it is to be
    deleted. If its connection was ended during the call, it stays abandoned.
    """
    data = {"topic": meeting.topic, "minutes": meeting.minutes, "joinUrl": meeting.join_url}
    await db.execute(
        """
        UPDATE external AS e
           SET external_id = $4, data = $5,
               state = CASE WHEN e.state = 'abandoned' THEN 'abandoned'
                            WHEN $6 AND NOT EXISTS (
                                 SELECT FROM external AS o
                                  WHERE o.kind = e.kind AND o.subject = e.subject
                                    AND o.state = 'live' AND o.generation <> e.generation)
                            THEN 'live' ELSE 'to_delete' END
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
        """,
        key.account_id,
        key.subject,
        meeting.generation,
        meeting.external_id,
        data,
        meeting.join_url is not None,
    )


async def update_content(
    db: Database, key: MeetingKey, generation: int, content: dict[str, object]
) -> None:
    """Store the topic and the length that the meeting has at the provider now."""
    await db.execute(
        """
        UPDATE external SET data = data || $4
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
        """,
        key.account_id,
        key.subject,
        generation,
        content,
    )


async def mark_for_deletion(db: Tx, key: MeetingKey, generation: int) -> None:
    """Store that a meeting is about to be deleted: its link is never shown again."""
    await db.execute(
        """
        UPDATE external SET state = 'to_delete', data = data - 'joinUrl'
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
           AND state IN ('live', 'to_delete')
        """,
        key.account_id,
        key.subject,
        generation,
    )


async def update_gone(db: Database, key: MeetingKey, generation: int) -> None:
    """Store that a meeting does not exist (any more)."""
    await db.execute(
        """
        UPDATE external SET state = 'gone'
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
           AND state <> 'abandoned'
        """,
        key.account_id,
        key.subject,
        generation,
    )


async def update_not_found(db: Tx, key: MeetingKey, generation: int, *, settled: bool) -> None:
    """Store that a look-up did not find an intended meeting. `settled`: it will never exist."""
    await db.execute(
        """
        UPDATE external
           SET data = data || '{"lookedUp": true}',
               state = CASE WHEN $4 THEN 'gone' ELSE state END
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
           AND state = 'intended'
        """,
        key.account_id,
        key.subject,
        generation,
        settled,
    )


async def update_abandoned(db: Tx, account_id: str, connection_id: str) -> None:
    """Abandon all meetings of an ended connection: they stay at the provider, never called again."""
    await db.execute(
        """
        UPDATE external
           SET state = 'abandoned',
               data = CASE WHEN state = 'to_delete' THEN data - 'joinUrl' ELSE data END
         WHERE account_id = $1 AND kind = 'meeting' AND connection_id = $2
           AND state IN ('intended', 'live', 'to_delete')
        """,
        account_id,
        connection_id,
    )


async def get_database_time(db: Database) -> datetime:
    """The database's clock, which leases, attempts and circuits go by."""
    moment: datetime = await db.fetchval("SELECT clock_timestamp()")
    return moment
