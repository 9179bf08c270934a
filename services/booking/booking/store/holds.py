"""Held seats as rows of `appointment` that have no contact yet."""

from datetime import datetime

from hoop_events.booking import Hold
from hoop_platform.db.database import Database, Tx


async def hold(db: Tx | Database, account_id: str, hold_id: str) -> Hold | None:
    """The hold, run out or not, until it is released or booked."""
    state = await db.fetchval(
        """
        SELECT state FROM appointment
         WHERE account_id = $1 AND id = $2 AND held_until IS NOT NULL
        """,
        account_id,
        hold_id,
    )
    return Hold.model_validate(state) if state else None


async def was_hold(db: Tx | Database, account_id: str, hold_id: str, calendar_id: str) -> bool:
    """Say whether it was a hold on that calendar, given back or booked within a day."""
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


async def forget_gone(db: Database) -> None:
    """Forget holds that have been gone for a day, of all accounts."""
    await db.execute("DELETE FROM gone_hold WHERE gone_at < clock_timestamp() - interval '1 day'")


async def run_out(db: Database, now: datetime, *, most: int) -> list[tuple[str, str]]:
    """`(account id, hold id)` of those that ran out longest ago, of all accounts."""
    rows = await db.fetch(
        """
        SELECT account_id, id FROM appointment WHERE held_until <= $1 ORDER BY held_until LIMIT $2
        """,
        now,
        most,
    )
    return [(row["account_id"], row["id"]) for row in rows]


async def of_calendar(db: Database, account_id: str, calendar_id: str) -> list[str]:
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
