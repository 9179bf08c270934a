"""Notes on appointments as rows. Nothing of them is announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hoop_platform.db.database import Database, Row, Tx

_NOTE = """
    SELECT n.id, n.appointment_id, a.contact_id, n.user_id, u.name AS user_name, n.created_by,
           n.body, n.version, n.date_added, n.date_updated
      FROM note n
      JOIN appointment a ON a.account_id = n.account_id AND a.id = n.appointment_id
      LEFT JOIN known_user u ON u.account_id = n.account_id AND u.id = n.user_id
     WHERE n.account_id = $1 AND n.appointment_id = $2 AND n.deleted_at IS NULL
"""
_ONE = _NOTE + " AND n.id = $3 FOR UPDATE OF n"
_SOME = _NOTE + " ORDER BY n.id DESC LIMIT $3 OFFSET $4"


@dataclass(frozen=True)
class Note:
    """What somebody wrote about an appointment. `user_name` is None when the user is unknown here."""

    id: str
    appointment_id: str
    contact_id: str
    user_id: str | None
    user_name: str | None
    created_by: str
    body: str
    version: int
    date_added: datetime
    date_updated: datetime


def _note(row: Row) -> Note:
    return Note(**row)


async def note(db: Tx, account_id: str, appointment_id: str, note_id: str) -> Note | None:
    """The note of this appointment, its row locked; None when it is unknown or deleted."""
    row = await db.fetchrow(_ONE, account_id, appointment_id, note_id)
    return _note(row) if row else None


async def notes(
    db: Tx | Database, account_id: str, appointment_id: str, *, limit: int, offset: int
) -> Sequence[Note]:
    """Those of an appointment, the newest first."""
    rows = await db.fetch(_SOME, account_id, appointment_id, limit, offset)
    return [_note(row) for row in rows]


async def insert(
    db: Tx,
    account_id: str,
    note_id: str,
    *,
    appointment_id: str,
    user_id: str | None,
    created_by: str,
    body: str,
    now: datetime,
) -> None:
    await db.execute(
        """
        INSERT INTO note (account_id, id, appointment_id, user_id, created_by, body, date_added,
                          date_updated)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
        """,
        account_id,
        note_id,
        appointment_id,
        user_id,
        created_by,
        body,
        now,
    )


async def save(db: Tx, account_id: str, changed: Note) -> None:
    """Save a changed note, whose row is locked by this transaction."""
    await db.execute(
        """
        UPDATE note SET user_id = $3, body = $4, version = $5, date_updated = $6
         WHERE account_id = $1 AND id = $2
        """,
        account_id,
        changed.id,
        changed.user_id,
        changed.body,
        changed.version,
        changed.date_updated,
    )


async def delete(
    db: Tx, account_id: str, appointment_id: str, note_id: str, *, now: datetime
) -> bool:
    """Forget what the note says; True again when it was deleted before, False if it never was."""
    found = await db.fetchval(
        """
        UPDATE note SET body = '', deleted_at = coalesce(deleted_at, $4)
         WHERE account_id = $1 AND appointment_id = $2 AND id = $3 RETURNING true
        """,
        account_id,
        appointment_id,
        note_id,
        now,
    )
    return found is True
