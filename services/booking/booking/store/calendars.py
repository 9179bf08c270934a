"""Calendars as rows."""

from collections.abc import Sequence
from typing import Any

from booking.domain.calendars import Calendar
from shared.db import Connection, Database, Row


def calendar_of(row: Row) -> Calendar:
    """A row of `calendar` as a value."""
    return Calendar(
        account_id=row["account_id"],
        id=row["id"],
        location_id=row["location_id"],
        time_zone=row["time_zone"],
        hosts=tuple(row["hosts"]),
        settings=row["settings"],
        version=row["version"],
        sequence=row["sequence"],
    )


async def insert_calendar(db: Connection, calendar: Calendar) -> None:
    """Save a new calendar, and let its hosts and itself be taken."""
    await db.execute(
        """
        INSERT INTO calendar (account_id, id, location_id, time_zone, hosts, settings)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        calendar.account_id,
        calendar.id,
        calendar.location_id,
        calendar.time_zone,
        list(calendar.hosts),
        calendar.settings,
    )
    await know_resources(db, calendar.account_id, [calendar.id, *calendar.hosts])


async def know_resources(db: Connection, account_id: str, ids: Sequence[str]) -> None:
    """Give each a version to be locked and compared by."""
    await db.execute(
        """
        INSERT INTO resource (account_id, id)
        SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id ON CONFLICT DO NOTHING
        """,
        account_id,
        list(ids),
    )


async def touch_resources(db: Connection, account_id: str, ids: Sequence[str]) -> None:
    """Whatever was decided on the old state of these is to be decided again."""
    await know_resources(db, account_id, ids)
    await db.execute(
        """
        WITH locked AS (SELECT id FROM resource WHERE account_id = $1 AND id = ANY ($2::uuid[])
                        ORDER BY id FOR NO KEY UPDATE)
        UPDATE resource r SET version = version + 1 FROM locked
         WHERE r.account_id = $1 AND r.id = locked.id
        """,
        account_id,
        list(ids),
    )


_CALENDAR = "SELECT * FROM calendar WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL"
_LOCKED = _CALENDAR + " FOR UPDATE"


async def calendar(
    db: Connection | Database, account_id: str, calendar_id: str, *, lock: bool = False
) -> Calendar | None:
    """The calendar, unless it is unknown here or deleted."""
    row = await db.fetchrow(
        _LOCKED if lock else _CALENDAR,
        account_id,
        calendar_id,
    )
    return calendar_of(row) if row else None


async def calendars(
    db: Connection | Database, account_id: str, location_id: str
) -> Sequence[Calendar]:
    """All calendars of a location, oldest first."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar WHERE account_id = $1 AND location_id = $2 AND deleted_at IS NULL
         ORDER BY id
        """,
        account_id,
        location_id,
    )
    return [calendar_of(row) for row in rows]


async def save_calendar(db: Connection, calendar: Calendar) -> None:
    """Save changed settings. The row is locked by this transaction."""
    await db.execute(
        """
        UPDATE calendar SET hosts = $3, settings = $4, version = $5, sequence = $6
         WHERE account_id = $1 AND id = $2
        """,
        calendar.account_id,
        calendar.id,
        list(calendar.hosts),
        calendar.settings,
        calendar.version,
        calendar.sequence,
    )
    await touch_resources(db, calendar.account_id, [calendar.id, *calendar.hosts])


async def delete_calendar(db: Connection, calendar: Calendar) -> None:
    """It answers as unknown from now on."""
    await db.execute(
        """
        UPDATE calendar SET deleted_at = clock_timestamp(), sequence = $3
         WHERE account_id = $1 AND id = $2
        """,
        calendar.account_id,
        calendar.id,
        calendar.sequence,
    )
    await touch_resources(db, calendar.account_id, [calendar.id, *calendar.hosts])


async def upcoming(
    db: Connection | Database, account_id: str, calendar_id: str, now: Any
) -> list[str]:
    """Ids of the calendar's appointments that occupy time after `now`."""
    rows = await db.fetch(
        """
        SELECT id FROM appointment
         WHERE account_id = $1 AND calendar_id = $2 AND occupies AND ends > $3 ORDER BY starts
        """,
        account_id,
        calendar_id,
        now,
    )
    return [row["id"] for row in rows]
