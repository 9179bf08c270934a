"""Removing a room or a piece of equipment from the sessions that have it."""

from collections.abc import Sequence
from datetime import datetime

from hoop_platform.db.database import Tx

_DELETE_ALLOCATIONS = """
    DELETE FROM allocation
     WHERE account_id = $1 AND bookable_id = $2 AND session_id = ANY ($3::uuid[])
"""
_DELETE_EQUIPMENT_USE = """
    DELETE FROM equipment_use
     WHERE account_id = $1 AND resource_id = $2 AND session_id = ANY ($3::uuid[])
"""
_UPDATE_SESSIONS = """
    UPDATE session SET resources = array_remove(resources, $2), revision = revision + 1
     WHERE account_id = $1 AND id = ANY ($3::uuid[])
"""


async def delete_from_sessions(
    db: Tx, account_id: str, resource_id: str, *, now: datetime
) -> Sequence[str]:
    """Remove the resource from the open sessions that end after `now`; returns their ids.

    The resource and its calendars are locked by this transaction, so no new session takes the
    resource meanwhile.
    """
    rows = await db.fetch(
        """
        SELECT id FROM session
         WHERE account_id = $1 AND closed_at IS NULL AND ends > $3
           AND id IN (SELECT session_id FROM allocation
                       WHERE account_id = $1 AND bookable_id = $2
                       UNION ALL
                      SELECT session_id FROM equipment_use
                       WHERE account_id = $1 AND resource_id = $2)
         ORDER BY id FOR NO KEY UPDATE
        """,
        account_id,
        resource_id,
        now,
    )
    sessions = [row["id"] for row in rows]
    for statement in (_DELETE_ALLOCATIONS, _DELETE_EQUIPMENT_USE, _UPDATE_SESSIONS):
        await db.execute(statement, account_id, resource_id, sessions)
    return sessions
