"""Taking a room or a piece of equipment off the sessions that are ahead."""

from collections.abc import Sequence
from datetime import datetime

from hoop_platform.db.database import Tx


async def vacate(db: Tx, account_id: str, resource_id: str, *, now: datetime) -> Sequence[str]:
    """The open sessions that end after `now` have it no more; their ids.

    The resource and its calendars are locked by this transaction: no new one takes it meanwhile.
    """
    rows = await db.fetch(
        """
        SELECT id FROM session
         WHERE account_id = $1 AND closed_at IS NULL AND ends > $3
           AND id IN (SELECT session_id FROM allocation
                       WHERE account_id = $1 AND resource_id = $2
                       UNION ALL
                      SELECT session_id FROM in_use WHERE account_id = $1 AND resource_id = $2)
         ORDER BY id FOR NO KEY UPDATE
        """,
        account_id,
        resource_id,
        now,
    )
    sessions = [row["id"] for row in rows]
    for statement in _VACATE:
        await db.execute(statement, account_id, resource_id, sessions)
    return sessions


_VACATE = (
    """
    DELETE FROM allocation
     WHERE account_id = $1 AND resource_id = $2 AND session_id = ANY ($3::uuid[])
    """,
    """
    DELETE FROM in_use
     WHERE account_id = $1 AND resource_id = $2 AND session_id = ANY ($3::uuid[])
    """,
    """
    UPDATE session SET resources = array_remove(resources, $2), revision = revision + 1
     WHERE account_id = $1 AND id = ANY ($3::uuid[])
    """,
)
