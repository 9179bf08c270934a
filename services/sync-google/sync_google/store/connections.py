"""The Google connections (table `provider_account`): which calendars are connected, and to what."""

from dataclasses import dataclass

from hoop_platform.db.database import Database, Tx
from sync_google.domain.identifiers import split_subject

CONNECTING_LOCK = 727_020


@dataclass(frozen=True)
class ConnectedCalendar:
    """A connection to which appointments of `calendar_id` are written."""

    connection_id: str
    provider_user: str
    calendar_id: str


@dataclass(frozen=True)
class PushTarget:
    """The Google calendar that a connection writes to; `remote_calendar` None: it writes nowhere."""

    status: str
    remote_calendar: str | None


async def lock_against_connecting(db: Tx) -> None:
    """Wait for connections that are becoming active, and let none do so before this transaction ends.

    Without this lock, an appointment and a connection that are committed at the same time would not
    see each other. Connecting is rare, so that one lock for all connections costs nothing.
    """
    await db.execute("SELECT pg_advisory_xact_lock_shared($1)", CONNECTING_LOCK)


async def lock_for_connecting(db: Tx) -> None:
    """Wait for all transactions that hold `lock_against_connecting`, and let none begin meanwhile."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", CONNECTING_LOCK)


async def list_connected_calendars(
    db: Tx, account_id: str, appointment_id: str, calendar_id: str
) -> list[ConnectedCalendar]:
    """The connections of the calendar, and those to which the appointment may have been written before."""
    desired = await db.fetch(
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
        [split_subject(row["subject"])[1] for row in desired],
    )
    return [ConnectedCalendar(r["id"], r["external_id"], r["owner_id"]) for r in rows]


async def get_connected_calendar(
    db: Tx, account_id: str, connection_id: str
) -> ConnectedCalendar | None:
    """One connection; None unless it is active."""
    row = await db.fetchrow(
        """
        SELECT id, external_id, owner_id FROM provider_account
         WHERE account_id = $1 AND id = $2 AND status = 'active'
        """,
        account_id,
        connection_id,
    )
    return ConnectedCalendar(row["id"], row["external_id"], row["owner_id"]) if row else None


async def get_push_target(db: Database, account_id: str, connection_id: str) -> PushTarget:
    """The connection's status and Google calendar; an unknown connection counts as disconnected."""
    row = await db.fetchrow(
        """
        SELECT c.status, f.remote_calendar FROM provider_account AS c
          LEFT JOIN feed AS f ON f.account_id = c.account_id AND f.connection_id = c.id
         WHERE c.account_id = $1 AND c.id = $2
        """,
        account_id,
        connection_id,
    )
    if row is None:
        return PushTarget("disconnected", None)
    return PushTarget(row["status"], row["remote_calendar"])


async def get_named_user(db: Tx, account_id: str, connection_id: str) -> str | None:
    """The user named in the connection's settings."""
    user_id: str | None = await db.fetchval(
        "SELECT settings ->> 'userId' FROM provider_account WHERE account_id = $1 AND id = $2",
        account_id,
        connection_id,
    )
    return user_id


async def get_provider_user(db: Tx, account_id: str, connection_id: str) -> str | None:
    """The Google user of a connection, against whom Google counts its calls."""
    provider_user: str | None = await db.fetchval(
        "SELECT external_id FROM provider_account WHERE account_id = $1 AND id = $2",
        account_id,
        connection_id,
    )
    return provider_user
