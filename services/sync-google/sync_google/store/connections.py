"""The Google connections (table `provider_account`): which calendars are connected, and to what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from hoop_platform.db.database import Database, Row, Tx

CONNECTING_LOCK = 727_020
"""Also taken by the SQL function `store_appointment`."""


@dataclass(frozen=True)
class ConnectedCalendar:
    """A connection to which appointments of `calendar_id` are written.

    `provider_user` is the Google user, and at the same time the id of their primary calendar, which
    is the one that we write to.
    """

    account_id: str
    connection_id: str
    provider_user: str
    calendar_id: str

    @classmethod
    def of_row(cls, account_id: str, row: Row) -> Self:
        return cls(account_id, row["connection_id"], row["provider_user"], row["calendar_id"])


async def lock_against_connecting(db: Tx) -> None:
    """Wait for connections that are becoming active, and let none do so before this transaction ends.

    Without this lock, an appointment and a connection that are committed at the same time would not
    see each other. Connecting is rare, so that one lock for all connections costs nothing.
    """
    await db.execute("SELECT pg_advisory_xact_lock_shared($1)", CONNECTING_LOCK)


async def lock_for_connecting(db: Tx) -> None:
    """Wait for all transactions that hold `lock_against_connecting`, and let none begin meanwhile."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", CONNECTING_LOCK)


async def get_connected_calendar(
    db: Tx, account_id: str, connection_id: str
) -> ConnectedCalendar | None:
    """One connection; None unless it is active."""
    row = await db.fetchrow(
        """
        SELECT id AS connection_id, external_id AS provider_user, owner_id AS calendar_id
          FROM provider_account
         WHERE account_id = $1 AND id = $2 AND status = 'active'
        """,
        account_id,
        connection_id,
    )
    return ConnectedCalendar.of_row(account_id, row) if row else None


async def has_open_work(db: Database, connection_id: str) -> bool:
    """Whether anything is still to be written through this connection."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM work WHERE kind = 'google-event' AND connection_id = $1
                          AND status IN ('due', 'waiting'))
        """,
        connection_id,
    )
    return found


async def get_named_user(db: Tx, account_id: str, connection_id: str) -> str | None:
    """The user named in the connection's settings."""
    user_id: str | None = await db.fetchval(
        "SELECT settings ->> 'userId' FROM provider_account WHERE account_id = $1 AND id = $2",
        account_id,
        connection_id,
    )
    return user_id


async def list_connections_of_user(db: Tx, account_id: str, user_id: str) -> list[str]:
    """The ids of connections that name the user, or no user while the calendar's only member is this one."""
    rows = await db.fetch(
        """
        SELECT p.id FROM provider_account p
          LEFT JOIN calendar c ON c.account_id = p.account_id AND c.id = p.owner_id
         WHERE p.account_id = $1 AND p.provider = 'google' AND p.owner_kind = 'calendar'
           AND p.status <> 'disconnected'
           AND CASE WHEN p.settings ->> 'userId' IS NULL THEN c.members = ARRAY[$2::uuid]
                    ELSE p.settings ->> 'userId' = $3 END
         ORDER BY p.id
        """,
        account_id,
        user_id,
        user_id,
    )
    return [row["id"] for row in rows]


async def get_database_time(db: Database | Tx) -> datetime:
    """The begin of the present transaction, by Postgres' clock, which times attempts and circuits."""
    moment: datetime = await db.fetchval("SELECT now()")
    return moment
