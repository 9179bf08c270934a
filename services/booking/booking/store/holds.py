"""Holds: rows of `appointment` that have no contact yet."""

from dataclasses import dataclass
from datetime import datetime

from hoop_events.booking import Hold
from hoop_platform.db.database import Database, Tx


async def get_hold(db: Tx | Database, account_id: str, hold_id: str) -> Hold | None:
    """The hold, expired or not; None once it is released or booked."""
    state = await db.fetchval(
        """
        SELECT state FROM appointment
         WHERE account_id = $1 AND id = $2 AND held_until IS NOT NULL
        """,
        account_id,
        hold_id,
    )
    return Hold.model_validate(state) if state else None


async def is_gone_hold(db: Tx | Database, account_id: str, hold_id: str, calendar_id: str) -> bool:
    """Whether this was a hold on that calendar, released or booked within the last day."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM gone_hold
                        WHERE account_id = $1 AND id = $2 AND calendar_id = $3)
        """,
        account_id,
        hold_id,
        calendar_id,
    )
    return found


async def delete_old_gone_holds(db: Database) -> None:
    """Delete the ids of holds that were released or booked a day ago, of all accounts."""
    await db.execute("DELETE FROM gone_hold WHERE gone_at < clock_timestamp() - interval '1 day'")


@dataclass(frozen=True)
class ExpiredHold:
    """An expired hold of any account, and its position in the list of all of them."""

    account_id: str
    id: str
    held_until: datetime


async def list_expired_holds(
    db: Database, now: datetime, *, after: ExpiredHold | None, limit: int
) -> list[ExpiredHold]:
    """Expired holds of all accounts, the longest expired first; those that come `after` this one."""
    rows = await db.fetch(
        """
        SELECT account_id, id, held_until FROM appointment
         WHERE held_until <= $1 AND ($3::uuid IS NULL OR (held_until, id) > ($2, $3))
         ORDER BY held_until, id LIMIT $4
        """,
        now,
        after and after.held_until,
        after and after.id,
        limit,
    )
    return [ExpiredHold(**dict(row)) for row in rows]


async def get_next_expiry(db: Database) -> datetime | None:
    """When the hold that expires first does so; None without holds."""
    expiry: datetime | None = await db.fetchval("SELECT min(held_until) FROM appointment")
    return expiry


async def list_holds_of_host(db: Tx, account_id: str, user_id: str) -> list[str]:
    """The ids of all holds with this user as a host."""
    rows = await db.fetch(
        """
        SELECT id FROM appointment
         WHERE account_id IS NOT DISTINCT FROM $1 AND (host = $2 OR cohosts ? $2)
           AND held_until IS NOT NULL ORDER BY id
        """,
        account_id,
        user_id,
    )
    return [row["id"] for row in rows]


async def list_holds_of_calendar(db: Database, account_id: str, calendar_id: str) -> list[str]:
    """The ids of all holds on a calendar."""
    rows = await db.fetch(
        """
        SELECT id FROM appointment
         WHERE account_id = $1 AND calendar_id = $2 AND held_until IS NOT NULL ORDER BY id
        """,
        account_id,
        calendar_id,
    )
    return [row["id"] for row in rows]
