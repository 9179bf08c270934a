"""Projections of what other services own: users, contacts, connections, external busy times."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from asyncpg import Range

from hoop_events.effects import Connection as ProviderConnection
from hoop_platform.db.database import Database, Tx


async def upsert_user(db: Tx, account_id: str, user_id: str, name: str) -> None:
    await db.execute(
        """
        INSERT INTO known_user (account_id, id, name) VALUES ($1, $2, $3)
        ON CONFLICT (account_id, id) DO UPDATE SET name = excluded.name
        """,
        account_id,
        user_id,
        name,
    )


async def delete_user(db: Tx, account_id: str, user_id: str) -> None:
    """Delete the user; that there was one stays known. Waits for who has locked the user."""
    await db.execute(
        "DELETE FROM known_user WHERE account_id = $1 AND id = $2", account_id, user_id
    )
    await db.execute(
        "INSERT INTO deleted_user (account_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        account_id,
        user_id,
    )


async def list_deleted_users(db: Tx | Database, account_id: str, ids: Sequence[str]) -> set[str]:
    """Those of the ids that were users of the account, and were deleted."""
    rows = await db.fetch(
        "SELECT id FROM deleted_user WHERE account_id = $1 AND id = ANY ($2::uuid[])",
        account_id,
        sorted({*ids}),
    )
    return {row["id"] for row in rows}


async def lock_users(db: Tx, account_id: str, ids: Sequence[str]) -> None:
    """Keep these users from being deleted before this transaction ends."""
    await db.execute(
        """
        SELECT FROM known_user WHERE account_id = $1 AND id = ANY ($2::uuid[])
         ORDER BY id FOR KEY SHARE
        """,
        account_id,
        sorted({*ids}),
    )


async def list_unknown_users(db: Tx | Database, account_id: str, ids: Sequence[str]) -> list[str]:
    """Those of the ids that are no users of the account."""
    rows = await db.fetch(
        """
        SELECT id FROM unnest($2::uuid[]) AS id
         WHERE NOT EXISTS (SELECT FROM known_user u WHERE u.account_id = $1 AND u.id = id.id)
        """,
        account_id,
        list(ids),
    )
    return [row["id"] for row in rows]


async def upsert_contact(
    db: Tx, account_id: str, contact_id: str, *, location_id: str, name: str
) -> None:
    await db.execute(
        """
        INSERT INTO known_contact (account_id, id, location_id, name) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE
           SET location_id = excluded.location_id, name = excluded.name
        """,
        account_id,
        contact_id,
        location_id,
        name,
    )


async def delete_contact(db: Tx, account_id: str, contact_id: str) -> None:
    await db.execute(
        "DELETE FROM known_contact WHERE account_id = $1 AND id = $2", account_id, contact_id
    )


async def get_contact_location(db: Tx | Database, account_id: str, contact_id: str) -> str | None:
    """The id of the contact's location; None when the account has no such contact."""
    found: str | None = await db.fetchval(
        "SELECT location_id FROM known_contact WHERE account_id = $1 AND id = $2",
        account_id,
        contact_id,
    )
    return found


async def upsert_connection(db: Tx, account_id: str, state: ProviderConnection) -> None:
    await db.execute(
        """
        INSERT INTO known_connection (account_id, id, provider, owner_id, state)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, id) DO UPDATE
           SET provider = excluded.provider, owner_id = excluded.owner_id, state = excluded.state
        """,
        account_id,
        state.id,
        state.provider,
        state.owner_id,
        state.model_dump(mode="json", by_alias=True),
    )


async def list_connections(
    db: Tx | Database, account_id: str, owners: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """The connections of these users and calendars; with None, all of the account."""
    rows = await db.fetch(
        """
        SELECT state FROM known_connection
         WHERE account_id = $1 AND ($2::uuid[] IS NULL OR owner_id = ANY ($2)) ORDER BY id
        """,
        account_id,
        None if owners is None else list(owners),
    )
    return [row["state"] for row in rows]


async def update_external_busy(
    db: Tx,
    account_id: str,
    *,
    connection_id: str,
    week: str,
    bookable_id: str,
    intervals: Sequence[tuple[datetime, datetime]],
) -> None:
    """Replace the busy times of a connection in a week by these intervals."""
    await db.execute(
        "DELETE FROM external_busy WHERE account_id = $1 AND connection_id = $2 AND week = $3",
        account_id,
        connection_id,
        week,
    )
    await db.executemany(
        """
        INSERT INTO external_busy (account_id, connection_id, week, bookable_id, during)
        VALUES ($1, $2, $3, $4, $5)
        """,
        [
            (account_id, connection_id, week, bookable_id, Range(start, end))
            for start, end in intervals
        ],
    )
