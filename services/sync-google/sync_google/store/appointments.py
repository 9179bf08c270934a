"""Table `appointment`: the newest announced state of each appointment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Tx


@dataclass(frozen=True)
class StoredAppointment:
    """An appointment as its newest event announced it; `draft` None: it has no Google event."""

    account_id: str
    id: str
    calendar_id: str
    starts_at: datetime
    ends_at: datetime
    draft: dict[str, Any] | None
    sequence: int


async def upsert_appointment(db: Tx, appointment: StoredAppointment) -> bool:
    """Store the appointment's newest state; False when a newer state is stored already."""
    stored = await db.fetchval(
        """
        INSERT INTO appointment AS a (account_id, id, calendar_id, starts_at, ends_at, draft, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (account_id, id) DO UPDATE
           SET calendar_id = $3, starts_at = $4, ends_at = $5, draft = $6, sequence = $7
         WHERE a.sequence < excluded.sequence
        RETURNING true
        """,
        appointment.account_id,
        appointment.id,
        appointment.calendar_id,
        appointment.starts_at,
        appointment.ends_at,
        appointment.draft,
        appointment.sequence,
    )
    return bool(stored)


async def delete_appointment(db: Tx, appointment_id: str) -> None:
    """Delete all rows about an appointment. A tombstone carries the id only, and no account."""
    await db.execute("DELETE FROM appointment WHERE id = $1", appointment_id)
    for table in ("work", "external"):
        await db.execute(
            f"DELETE FROM {table} WHERE kind = 'google-event' AND left(subject, 26) = $1",  # noqa: S608 -- two names of our own
            appointment_id,
        )


async def list_appointments_after(
    db: Tx, account_id: str, calendar_id: str, *, after: tuple[datetime, str]
) -> list[StoredAppointment]:
    """At most 200 appointments that have a draft, by `(ends_at, id)`, behind this position."""
    rows = await db.fetch(
        """
        SELECT * FROM appointment
         WHERE account_id = $1 AND calendar_id = $2 AND (ends_at, id) > ($3, $4)
           AND draft IS NOT NULL
         ORDER BY ends_at, id LIMIT 200
        """,
        account_id,
        calendar_id,
        *after,
    )
    return [StoredAppointment(**dict(row)) for row in rows]
