"""Calendars and their locations, projected from other services' events: names, time zones, what is deleted."""

from hoop_platform.db.database import Database, Tx


async def upsert_calendar(
    db: Tx, account_id: str, calendar_id: str, *, name: str, location_id: str
) -> None:
    await db.execute(
        """
        INSERT INTO calendar (account_id, id, name, location_id) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE
           SET name = excluded.name, location_id = excluded.location_id, deleted = false
        """,
        account_id,
        calendar_id,
        name,
        location_id,
    )


async def update_calendar_deleted(db: Tx, account_id: str, calendar_id: str) -> None:
    """Mark the calendar as deleted; its name stays for messages about cancellations."""
    await db.execute(
        "UPDATE calendar SET deleted = true WHERE account_id = $1 AND id = $2",
        account_id,
        calendar_id,
    )


async def delete_calendar(db: Tx, calendar_id: str) -> None:
    """Delete the calendar of this id: a tombstone names no account."""
    await db.execute("DELETE FROM calendar WHERE id = $1", calendar_id)


async def get_calendar_location(db: Tx | Database, account_id: str, calendar_id: str) -> str | None:
    """The location id of a calendar; None if the calendar is unknown or deleted."""
    location_id: str | None = await db.fetchval(
        "SELECT location_id FROM calendar WHERE account_id = $1 AND id = $2 AND NOT deleted",
        account_id,
        calendar_id,
    )
    return location_id


async def upsert_location(
    db: Tx, account_id: str, location_id: str, *, name: str, time_zone: str
) -> None:
    await db.execute(
        """
        INSERT INTO location (account_id, id, name, time_zone) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE
           SET name = excluded.name, time_zone = excluded.time_zone
        """,
        account_id,
        location_id,
        name,
        time_zone,
    )


async def delete_location(db: Tx, location_id: str) -> None:
    """Delete the location of this id: a tombstone names no account."""
    await db.execute("DELETE FROM location WHERE id = $1", location_id)
