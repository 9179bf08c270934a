"""What is remembered of people, seats, and of what sessions were last wished to have."""

from collections.abc import Sequence
from dataclasses import astuple, fields
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.providers.provider_accounts import list_provider_accounts
from meetings.domain import Access, Place, Seat

CLASSES = 727_010
SESSION = 727_011


async def add_person(db: Tx, account_id: str, user_id: str) -> None:
    await db.execute(
        "INSERT INTO person (account_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        account_id,
        user_id,
    )


async def remove_person(db: Tx, account_id: str, user_id: str) -> None:
    await db.execute("DELETE FROM person WHERE account_id = $1 AND id = $2", account_id, user_id)


async def is_person(db: Database, account_id: str, user_id: str) -> bool:
    found: bool = await db.fetchval(
        "SELECT EXISTS (SELECT FROM person WHERE account_id = $1 AND id = $2)", account_id, user_id
    )
    return found


async def seat(db: Tx | Database, account_id: str, appointment_id: str) -> Seat | None:
    row = await db.fetchrow(
        "SELECT * FROM seat WHERE account_id = $1 AND appointment_id = $2",
        account_id,
        appointment_id,
    )
    return _seat(row) if row else None


async def save_seat(db: Tx, taken: Seat) -> None:
    await db.execute(
        """
        INSERT INTO seat (account_id, appointment_id, location_id, session, provider, host,
                          starts_at, ends_at, time_zone, title, shared, confirmed, occupies,
                          sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (account_id, appointment_id) DO UPDATE
           SET location_id = $3, session = $4, provider = $5, host = $6, starts_at = $7,
               ends_at = $8, time_zone = $9, title = $10, shared = $11, confirmed = $12,
               occupies = $13, sequence = $14
        """,
        *astuple(taken),
    )


async def forget_seat(db: Tx, appointment_id: str) -> None:
    """All that is left of an appointment goes. A tombstone names no account, only the key."""
    await db.execute("DELETE FROM seat WHERE appointment_id = $1", appointment_id)


async def lock(db: Tx, places: Sequence[Place], *, shared: bool) -> None:
    """Let nobody else fold these sessions before this transaction ends.

    Appointments of one class come from different partitions, whose batches hold their locks for
    long and meet the classes in any order: one lock before those of the sessions spares the
    deadlocks. A 1:1 session has one appointment, hence one partition, and needs no more.
    """
    if shared:
        await db.execute("SELECT pg_advisory_xact_lock($1)", CLASSES)
    for place in sorted(places):
        await db.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", SESSION, place.subject)


async def seats_at(db: Tx, place: Place) -> list[Seat]:
    rows = await db.fetch(
        "SELECT * FROM seat WHERE account_id = $1 AND session = $2 AND provider = $3",
        place.account_id,
        place.session,
        place.provider,
    )
    return [_seat(row) for row in rows]


async def wanted(db: Tx | Database, place: Place) -> dict[str, Any] | None:
    """What was last wished of this place, as the wish says it."""
    desired: dict[str, Any] | None = await db.fetchval(
        "SELECT desired FROM wanted WHERE account_id = $1 AND session = $2 AND provider = $3",
        place.account_id,
        place.session,
        place.provider,
    )
    return desired


async def save_wanted(
    db: Tx, place: Place, desired: dict[str, Any], *, host: str, ends_at: datetime
) -> int:
    """Remember the wish and answer its number."""
    sequence: int = await db.fetchval(
        """
        INSERT INTO wanted AS w (account_id, session, provider, host, ends_at, desired, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, 1)
        ON CONFLICT (account_id, session, provider) DO UPDATE
           SET host = $4, ends_at = $5, desired = $6, sequence = w.sequence + 1
        RETURNING sequence
        """,
        place.account_id,
        place.session,
        place.provider,
        host,
        ends_at,
        desired,
    )
    return sequence


async def outdated_places(
    db: Database, account_id: str, provider: str, host: str, *, stamp: str | None, now: datetime
) -> list[Place]:
    """Some of the host's sessions, not over, whose wish knows another state of the connection."""
    rows = await db.fetch(
        """
        SELECT session FROM wanted
         WHERE account_id = $1 AND provider = $2 AND host = $3 AND ends_at > $4
           AND desired ->> 'connection' IS DISTINCT FROM $5
         ORDER BY ends_at LIMIT 100
        """,
        account_id,
        provider,
        host,
        now,
        stamp,
    )
    return [Place(account_id, row["session"], provider) for row in rows]


async def access(db: Tx | Database, account_id: str, provider: str, host: str) -> Access | None:
    """The host's present connection, without its tokens."""
    live = await list_provider_accounts(
        db, account_id, provider=provider, owner_kind="user", owner_id=host
    )
    if not live:
        return None
    it = live[0]
    return Access(it.id, it.status == "active", it.reason, it.external_id, it.sequence)


async def existing(db: Tx, place: Place) -> bool:
    """Whether there is a meeting already: a new wish is then an edit, and can wait."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM external WHERE account_id = $1 AND kind = 'meeting'
                          AND subject = $2 AND state = 'live')
        """,
        place.account_id,
        place.subject,
    )
    return found


def _seat(row: Row) -> Seat:
    return Seat(**{column.name: row[column.name] for column in fields(Seat)})
