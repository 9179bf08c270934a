"""Calendars as rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from asyncpg import UniqueViolationError

from booking.domain.calendars import Calendar
from booking.domain.checks import slug_taken
from booking.store.locks import update_versions
from hoop_platform.db.database import Database, Tx


async def insert_calendar(db: Tx, calendar: Calendar) -> dict[str, int]:
    """Save a new calendar; returns the versions of the calendar and its hosts."""
    await _write(
        db,
        """
        INSERT INTO calendar (account_id, id, location_id, time_zone, hosts, settings, slug)
        VALUES ($1, $2, $3, $4, $5, $6, lower($6::jsonb ->> 'slug'))
        """,
        calendar.account_id,
        calendar.id,
        calendar.location_id,
        calendar.time_zone,
        list(calendar.hosts),
        calendar.settings,
    )
    return await update_versions(
        db, calendar.account_id, calendars=[calendar.id], others=calendar.hosts
    )


async def _write(db: Tx, sql: str, *values: object) -> None:
    """Execute; raises `Conflict` when another calendar of the location has the slug."""
    try:
        await db.execute(sql, *values)
    except UniqueViolationError as error:
        raise slug_taken("calendar") from error


_GET = "SELECT * FROM calendar WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL"
_GET_LOCKED = _GET + " FOR UPDATE"


async def get_calendar(
    db: Tx | Database, account_id: str, calendar_id: str, *, lock: bool = False
) -> Calendar | None:
    """The calendar; None for one that is unknown or deleted."""
    row = await db.fetchrow(
        _GET_LOCKED if lock else _GET,
        account_id,
        calendar_id,
    )
    return Calendar.of(row) if row else None


async def list_calendars(
    db: Tx | Database,
    account_id: str,
    location_id: str,
    *,
    group_id: str | None = None,
    drafts: bool = True,
) -> Sequence[Calendar]:
    """The calendars of a location or of one of its groups, oldest first; `drafts`: inactive ones, too."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND location_id = $2 AND deleted_at IS NULL
           AND ($3::text IS NULL OR settings ->> 'groupId' = $3)
           AND ($4 OR settings ->> 'isActive' IS DISTINCT FROM 'false')
         ORDER BY id
        """,
        account_id,
        location_id,
        group_id,
        drafts,
    )
    return [Calendar.of(row) for row in rows]


async def get_calendar_location(db: Tx | Database, account_id: str, calendar_id: str) -> str | None:
    """The location's id, of a deleted calendar as well; None if there never was one."""
    found: str | None = await db.fetchval(
        "SELECT location_id FROM calendar WHERE account_id = $1 AND id = $2",
        account_id,
        calendar_id,
    )
    return found


async def update_calendar(db: Tx, calendar: Calendar) -> dict[str, int]:
    """Save changed settings; returns the new versions. The row is locked by this transaction."""
    await _write(
        db,
        """
        UPDATE calendar SET hosts = $3, settings = $4, version = $5, sequence = $6,
               slug = CASE WHEN settings ->> 'slug' IS DISTINCT FROM $4::jsonb ->> 'slug'
                           THEN lower($4::jsonb ->> 'slug') ELSE slug END
         WHERE account_id = $1 AND id = $2
        """,
        calendar.account_id,
        calendar.id,
        list(calendar.hosts),
        calendar.settings,
        calendar.version,
        calendar.sequence,
    )
    return await update_versions(
        db, calendar.account_id, calendars=[calendar.id], others=calendar.hosts
    )


async def delete_calendar(db: Tx, calendar: Calendar) -> dict[str, int]:
    """Mark the calendar as deleted; returns the new versions."""
    await db.execute(
        """
        UPDATE calendar SET deleted_at = clock_timestamp(), sequence = $3
         WHERE account_id = $1 AND id = $2
        """,
        calendar.account_id,
        calendar.id,
        calendar.sequence,
    )
    return await update_versions(
        db, calendar.account_id, calendars=[calendar.id], others=calendar.hosts
    )


async def list_upcoming_appointments(
    db: Tx | Database, account_id: str, calendar_id: str, now: datetime
) -> list[str]:
    """Ids of the calendar's appointments that end after `now` and take time or are unconfirmed."""
    rows = await db.fetch(
        """
        SELECT id FROM appointment
         WHERE account_id = $1 AND calendar_id = $2 AND ends > $3
           AND (occupies OR state ->> 'appointmentStatus' = 'new')
           AND held_until IS NULL AND deleted_at IS NULL ORDER BY starts
        """,
        account_id,
        calendar_id,
        now,
    )
    return [row["id"] for row in rows]


async def list_calendars_of_user(
    db: Tx | Database, account_id: str, user_id: str
) -> Sequence[Calendar]:
    """The calendars with this user as a member, oldest first."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND hosts @> ARRAY[$2::uuid] AND deleted_at IS NULL ORDER BY id
        """,
        account_id,
        user_id,
    )
    return [Calendar.of(row) for row in rows]


async def list_connection_owners(
    db: Tx | Database, account_id: str, locations: Iterable[str]
) -> Sequence[str]:
    """The ids of the calendars of these locations, and of their members."""
    rows = await db.fetch(
        """
        SELECT DISTINCT unnest(hosts || id) AS id FROM calendar
         WHERE account_id = $1 AND location_id = ANY ($2::uuid[]) AND deleted_at IS NULL
        """,
        account_id,
        sorted(locations),
    )
    return [row["id"] for row in rows]


async def list_calendar_ids_of_group(
    db: Tx | Database, account_id: str, group_id: str
) -> list[str]:
    """The ids of the calendars in this group, oldest first."""
    rows = await db.fetch(
        """
        SELECT id FROM calendar
         WHERE account_id = $1 AND settings ->> 'groupId' = $2 AND deleted_at IS NULL ORDER BY id
        """,
        account_id,
        group_id,
    )
    return [row["id"] for row in rows]


async def lock_calendars_of_group(db: Tx, account_id: str, group_id: str) -> list[Calendar]:
    """The calendars in this group, their rows locked."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND settings ->> 'groupId' = $2 AND deleted_at IS NULL
         ORDER BY id FOR UPDATE
        """,
        account_id,
        group_id,
    )
    return [Calendar.of(row) for row in rows]


async def lock_calendars_of_user(db: Tx, account_id: str, user_id: str) -> list[Calendar]:
    """The calendars with this user as a member, their rows locked."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND hosts @> ARRAY[$2::uuid] AND deleted_at IS NULL
         ORDER BY id FOR UPDATE
        """,
        account_id,
        user_id,
    )
    return [Calendar.of(row) for row in rows]


async def lock_calendars(db: Tx, account_id: str, ids: Iterable[str]) -> list[Calendar]:
    """Those of these calendars that exist, their rows locked."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND deleted_at IS NULL
         ORDER BY id FOR UPDATE
        """,
        account_id,
        sorted({*ids}),
    )
    return [Calendar.of(row) for row in rows]


async def update_applied(db: Tx, account_id: str, ids: Iterable[str]) -> None:
    """Copy to the rows of these calendars, which are locked, the schedules and resources that apply."""
    await db.execute("SELECT update_applied($1, $2)", account_id, sorted({*ids}))
