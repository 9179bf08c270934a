"""What we have made, or may have made, at the provider: the `external` rows of kind `meeting`.

An intent is written before a call that makes something, and only by who still holds the wish. What
a provider has answered is a fact: that is written down by whoever heard it, lease or no lease.
"""

from datetime import datetime

from hoop_platform.db.database import Database, Tx
from hoop_platform.reconcile.desired_state import Claimed
from meetings.domain import Found, Made, Place


async def made_at(db: Database | Tx, place: Place) -> list[Made]:
    """Everything ever made for a session, oldest first."""
    rows = await db.fetch(
        """
        SELECT generation, connection_id, state, external_id, data,
               clock_timestamp() - intent_at AS age
          FROM external WHERE account_id = $1 AND kind = 'meeting' AND subject = $2
         ORDER BY generation
        """,
        place.account_id,
        place.subject,
    )
    return [
        Made(
            generation=row["generation"],
            connection_id=row["connection_id"],
            state=row["state"],
            external_id=row["external_id"],
            join_url=row["data"].get("joinUrl"),
            topic=row["data"].get("topic"),
            minutes=row["data"].get("minutes"),
            looked=row["data"].get("looked", False),
            age=row["age"],
        )
        for row in rows
    ]


async def is_held(db: Tx, mine: Claimed) -> bool:
    """Whether the wish is still ours to work on, and still says the same."""
    held: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM work
                        WHERE account_id = $1 AND kind = $2 AND subject = $3 AND lease_token = $4
                          AND lease_until > clock_timestamp() AND desired_sequence = $5)
        """,
        mine.desired_state.account_id,
        mine.desired_state.kind,
        mine.desired_state.subject,
        mine.lease_token,
        mine.desired_state.sequence,
    )
    return held


async def has_lease(db: Tx, mine: Claimed) -> bool:
    """Whether nobody else can have begun to work on the wish, whatever it says by now."""
    has: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM work
                        WHERE account_id = $1 AND kind = $2 AND subject = $3 AND lease_token = $4
                          AND lease_until > clock_timestamp())
        """,
        mine.desired_state.account_id,
        mine.desired_state.kind,
        mine.desired_state.subject,
        mine.lease_token,
    )
    return has


async def intend(db: Tx, place: Place, generation: int, connection_id: str) -> None:
    """Write down that a meeting is about to be made."""
    await db.execute(
        """
        INSERT INTO external AS e (account_id, kind, subject, generation, connection_id, state)
        VALUES ($1, 'meeting', $2, $3, $4, 'intended')
        ON CONFLICT (kind, subject, generation) DO UPDATE
           SET state = 'intended', intent_at = clock_timestamp(), data = '{}'
         WHERE e.account_id = $1 AND e.external_id IS NULL
        """,
        place.account_id,
        place.subject,
        generation,
        connection_id,
    )


async def record_made(db: Tx, place: Place, found: Found) -> None:
    """A meeting exists: live, if it has a link to be shown and none is live already; else doomed.

    If its connection was ended while the call was under way, it stays as history. The caller has
    locked the place.
    """
    data = {"topic": found.topic, "minutes": found.minutes, "joinUrl": found.join_url}
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
        place.account_id,
        place.subject,
        found.generation,
        found.external_id,
        data,
        found.join_url is not None,
    )


async def record_edit(
    db: Database, place: Place, generation: int, content: dict[str, object]
) -> None:
    await db.execute(
        """
        UPDATE external SET data = data || $4
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
        """,
        place.account_id,
        place.subject,
        generation,
        content,
    )


async def doom(db: Tx, place: Place, generation: int) -> None:
    """It is about to be dropped: from now on it is nobody's link, whatever is wished later."""
    await db.execute(
        """
        UPDATE external SET state = 'to_delete', data = data - 'joinUrl'
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
           AND state IN ('live', 'to_delete')
        """,
        place.account_id,
        place.subject,
        generation,
    )


async def mark_gone(db: Database, place: Place, generation: int) -> None:
    """It does not exist (any more)."""
    await db.execute(
        """
        UPDATE external SET state = 'gone'
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
           AND state <> 'abandoned'
        """,
        place.account_id,
        place.subject,
        generation,
    )


async def mark_missing(db: Tx, place: Place, generation: int, *, settled: bool) -> None:
    """It was looked for and is not there: yet, or, when the call has settled, for good."""
    await db.execute(
        """
        UPDATE external
           SET data = data || '{"looked": true}', state = CASE WHEN $4 THEN 'gone' ELSE state END
         WHERE account_id = $1 AND kind = 'meeting' AND subject = $2 AND generation = $3
           AND state = 'intended'
        """,
        place.account_id,
        place.subject,
        generation,
        settled,
    )


async def abandon(db: Tx, account_id: str, connection_id: str) -> None:
    """The connection was ended: what it made stays at the provider and is never touched again."""
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


async def database_time(db: Database) -> datetime:
    """The clock that attempts and gates go by."""
    moment: datetime = await db.fetchval("SELECT clock_timestamp()")
    return moment


async def transaction_time(db: Tx) -> datetime:
    """When the present transaction began."""
    moment: datetime = await db.fetchval("SELECT now()")
    return moment
