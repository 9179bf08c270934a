"""The members of each session, and the desired meeting derived from them."""

from collections.abc import Sequence
from dataclasses import astuple, fields
from datetime import datetime
from typing import Any

from hoop_platform.db.database import Database, Row, Tx
from meetings.domain.sessions import MeetingKey, SessionMember

SHARED_SESSIONS_LOCK = 727_010
SESSION_LOCK = 727_011


async def get_member(
    db: Tx | Database, account_id: str, appointment_id: str
) -> SessionMember | None:
    row = await db.fetchrow(
        "SELECT * FROM session_member WHERE account_id = $1 AND appointment_id = $2",
        account_id,
        appointment_id,
    )
    return _member(row) if row else None


async def upsert_member(db: Tx, member: SessionMember) -> None:
    await db.execute(
        """
        INSERT INTO session_member (account_id, appointment_id, location_id, session, provider, host,
                                    starts_at, ends_at, time_zone, title, shared, confirmed,
                                    occupies, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (account_id, appointment_id) DO UPDATE
           SET location_id = $3, session = $4, provider = $5, host = $6, starts_at = $7,
               ends_at = $8, time_zone = $9, title = $10, shared = $11, confirmed = $12,
               occupies = $13, sequence = $14
        """,
        *astuple(member),
    )


async def delete_member(db: Tx, appointment_id: str) -> None:
    """Delete all that is stored of an appointment. A tombstone carries its id, but no account."""
    await db.execute("DELETE FROM session_member WHERE appointment_id = $1", appointment_id)


async def list_members(db: Tx, key: MeetingKey) -> list[SessionMember]:
    """The members of a session that meet at the key's provider."""
    rows = await db.fetch(
        "SELECT * FROM session_member WHERE account_id = $1 AND session = $2 AND provider = $3",
        key.account_id,
        key.session,
        key.provider,
    )
    return [_member(row) for row in rows]


async def lock_sessions(db: Tx, keys: Sequence[MeetingKey], *, shared: bool) -> None:
    """Lock sessions until the end of the transaction, against anybody else who derives their meetings.

    `shared`: the sessions take several appointments (classes). These come from different
    partitions, whose batches hold their locks for long and reach the sessions in any order; one lock
    for all shared sessions, taken first, prevents deadlocks. A 1:1 session has one appointment,
    hence one partition, and does not need it.
    """
    if shared:
        await db.execute("SELECT pg_advisory_xact_lock($1)", SHARED_SESSIONS_LOCK)
    for key in sorted(keys):
        await db.execute(
            "SELECT pg_advisory_xact_lock($1, hashtext($2))", SESSION_LOCK, key.subject
        )


async def get_desired(db: Tx | Database, key: MeetingKey) -> dict[str, Any] | None:
    """The desired meeting of a session as JSON, as it stands in its desired state."""
    desired: dict[str, Any] | None = await db.fetchval(
        """
        SELECT desired FROM desired_meeting
         WHERE account_id = $1 AND session = $2 AND provider = $3
        """,
        key.account_id,
        key.session,
        key.provider,
    )
    return desired


async def upsert_desired(
    db: Tx, key: MeetingKey, desired: dict[str, Any], *, host: str, ends_at: datetime
) -> int:
    """Store the desired meeting of a session; returns its new sequence."""
    sequence: int = await db.fetchval(
        """
        INSERT INTO desired_meeting AS d
               (account_id, session, provider, host, ends_at, desired, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, 1)
        ON CONFLICT (account_id, session, provider) DO UPDATE
           SET host = $4, ends_at = $5, desired = $6, sequence = d.sequence + 1
        RETURNING sequence
        """,
        key.account_id,
        key.session,
        key.provider,
        host,
        ends_at,
        desired,
    )
    return sequence


async def list_outdated(
    db: Database,
    account_id: str,
    provider: str,
    host: str,
    *,
    account_version: str | None,
    now: datetime,
) -> list[MeetingKey]:
    """Up to 100 sessions of a host, not over yet, desired under another version of his account."""
    rows = await db.fetch(
        """
        SELECT session FROM desired_meeting
         WHERE account_id = $1 AND provider = $2 AND host = $3 AND ends_at > $4
           AND desired ->> 'connection' IS DISTINCT FROM $5
         ORDER BY ends_at LIMIT 100
        """,
        account_id,
        provider,
        host,
        now,
        account_version,
    )
    return [MeetingKey(account_id, row["session"], provider) for row in rows]


def _member(row: Row) -> SessionMember:
    return SessionMember(**{column.name: row[column.name] for column in fields(SessionMember)})
