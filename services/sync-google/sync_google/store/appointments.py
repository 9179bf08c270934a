"""What is remembered of calendars and appointments, and who has to be told of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Database, Tx
from sync_google.domain import parts_of

CONNECTING = 727_020


@dataclass(frozen=True)
class Calendar:
    """A calendar of ours that may be connected."""

    account_id: str
    id: str
    location_id: str
    members: Sequence[str]


@dataclass(frozen=True)
class Known:
    """An appointment as its newest event said; `draft` None: nothing of it is to be seen."""

    account_id: str
    id: str
    calendar_id: str
    starts_at: datetime
    ends_at: datetime
    draft: dict[str, Any] | None
    sequence: int


@dataclass(frozen=True)
class Target:
    """A connection that has to know of an appointment."""

    connection_id: str
    provider_user: str
    calendar_id: str


async def keep_calendar(db: Tx, calendar: Calendar) -> None:
    await db.execute(
        """
        INSERT INTO calendar (account_id, id, location_id, members) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE SET location_id = $3, members = $4
        """,
        calendar.account_id,
        calendar.id,
        calendar.location_id,
        list(calendar.members),
    )


async def drop_calendar(db: Tx, account_id: str, calendar_id: str) -> None:
    await db.execute(
        "DELETE FROM calendar WHERE account_id = $1 AND id = $2", account_id, calendar_id
    )


async def calendar(db: Tx | Database, account_id: str, calendar_id: str) -> Calendar | None:
    row = await db.fetchrow(
        "SELECT * FROM calendar WHERE account_id = $1 AND id = $2", account_id, calendar_id
    )
    return Calendar(**dict(row)) if row else None


async def keep_appointment(db: Tx, known: Known) -> bool:
    """Remember its newest state; False when a newer one is known."""
    kept = await db.fetchval(
        """
        INSERT INTO appointment AS a (account_id, id, calendar_id, starts_at, ends_at, draft, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (account_id, id) DO UPDATE
           SET calendar_id = $3, starts_at = $4, ends_at = $5, draft = $6, sequence = $7
         WHERE a.sequence < excluded.sequence
        RETURNING true
        """,
        known.account_id,
        known.id,
        known.calendar_id,
        known.starts_at,
        known.ends_at,
        known.draft,
        known.sequence,
    )
    return bool(kept)


async def forget_appointment(db: Tx, appointment_id: str) -> None:
    """All that is left of it goes. A tombstone names no account, only the key."""
    await db.execute("DELETE FROM appointment WHERE id = $1", appointment_id)
    for table in ("work", "external"):
        await db.execute(
            f"DELETE FROM {table} WHERE kind = 'google-event' AND left(subject, 26) = $1",  # noqa: S608 -- two names of our own
            appointment_id,
        )


async def hold_off_connecting(db: Tx) -> None:
    """Until this transaction ends no connection becomes active, or does and is seen by it.

    Without it an appointment and a connection, each committed while the other was on its way,
    would never hear of each other. Connecting is rare: one lock for all costs nothing.
    """
    await db.execute("SELECT pg_advisory_xact_lock_shared($1)", CONNECTING)


async def wait_for_events(db: Tx) -> None:
    """The other side: what is being handled now is finished first."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", CONNECTING)


async def targets(db: Tx, account_id: str, appointment_id: str, calendar_id: str) -> list[Target]:
    """The live connections of its calendar, and of those it may have been written to before."""
    wished = await db.fetch(
        "SELECT subject FROM work WHERE kind = 'google-event' AND left(subject, 26) = $1",
        appointment_id,
    )
    rows = await db.fetch(
        """
        SELECT id, external_id, owner_id FROM provider_account
         WHERE account_id = $1 AND provider = 'google' AND status <> 'disconnected'
           AND external_id IS NOT NULL AND (owner_id = $2 OR id = ANY ($3::uuid[]))
         ORDER BY id
        """,
        account_id,
        calendar_id,
        [parts_of(row["subject"])[1] for row in wished],
    )
    return [Target(r["id"], r["external_id"], r["owner_id"]) for r in rows]


async def ahead(
    db: Tx, account_id: str, calendar_id: str, *, after: tuple[datetime, str]
) -> list[Known]:
    """Some appointments that end after a moment (and behind that id, at the moment), in order."""
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
    return [Known(**dict(row)) for row in rows]


async def target(db: Tx, account_id: str, connection_id: str) -> Target | None:
    """One connection, if it is active."""
    row = await db.fetchrow(
        """
        SELECT id, external_id, owner_id FROM provider_account
         WHERE account_id = $1 AND id = $2 AND status = 'active'
        """,
        account_id,
        connection_id,
    )
    return Target(row["id"], row["external_id"], row["owner_id"]) if row else None
