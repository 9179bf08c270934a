"""Notes on appointments as rows. Notes are never announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hoop_platform.db.database import Database, Row, Tx

_SELECT = """
    SELECT n.id, n.appointment_id, a.contact_id, n.user_id, u.name AS user_name, n.created_by,
           n.body, n.version, n.date_added, n.date_updated
      FROM note n
      JOIN appointment a ON a.account_id = n.account_id AND a.id = n.appointment_id
      LEFT JOIN known_user u ON u.account_id = n.account_id AND u.id = n.user_id
     WHERE n.account_id = $1 AND n.appointment_id = $2 AND n.deleted_at IS NULL
"""
_LOCK = _SELECT + " AND n.id = $3 FOR UPDATE OF n"
_LIST = _SELECT + " ORDER BY n.id DESC LIMIT $3 OFFSET $4"


@dataclass(frozen=True)
class AppointmentNote:
    """A note on an appointment. `user_name` is None for a user that the account does not have."""

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


def _note(row: Row) -> AppointmentNote:
    return AppointmentNote(**row)


async def lock_note(
    db: Tx, account_id: str, appointment_id: str, note_id: str
) -> AppointmentNote | None:
    """The note of this appointment, its row locked; None for one that is unknown or deleted."""
    row = await db.fetchrow(_LOCK, account_id, appointment_id, note_id)
    return _note(row) if row else None


async def list_notes(
    db: Tx | Database, account_id: str, appointment_id: str, *, limit: int, offset: int
) -> Sequence[AppointmentNote]:
    """The notes of an appointment, newest first."""
    rows = await db.fetch(_LIST, account_id, appointment_id, limit, offset)
    return [_note(row) for row in rows]


async def insert_note(
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


async def update_note(db: Tx, account_id: str, changed: AppointmentNote) -> None:
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


async def delete_note(
    db: Tx, account_id: str, appointment_id: str, note_id: str, *, now: datetime
) -> bool:
    """Delete the note's text; True for a note deleted before as well, False if there never was one."""
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
