"""Calendars as rows."""

from collections.abc import Iterable, Sequence
from typing import Any

from asyncpg import UniqueViolationError

from booking.domain.calendars import Calendar
from booking.domain.documents import slug_taken
from booking.store.versions import touch
from hoop_platform.db.database import Database, Row, Tx


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
        applied=row["applied"],
        applied_version=row["applied_version"],
    )


async def insert_calendar(db: Tx, calendar: Calendar) -> dict[str, int]:
    """Save a new calendar, and let its hosts and itself be taken; the versions of these."""
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
    return await touch(db, calendar.account_id, calendars=[calendar.id], others=calendar.hosts)


async def _write(db: Tx, sql: str, *values: object) -> None:
    """Another calendar of the location may have the slug, however late it came: an index knows."""
    try:
        await db.execute(sql, *values)
    except UniqueViolationError as error:
        raise slug_taken("calendar") from error


_CALENDAR = "SELECT * FROM calendar WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL"
_LOCKED = _CALENDAR + " FOR UPDATE"


async def calendar(
    db: Tx | Database, account_id: str, calendar_id: str, *, lock: bool = False
) -> Calendar | None:
    """The calendar, unless it is unknown here or deleted."""
    row = await db.fetchrow(
        _LOCKED if lock else _CALENDAR,
        account_id,
        calendar_id,
    )
    return calendar_of(row) if row else None


async def calendars(
    db: Tx | Database,
    account_id: str,
    location_id: str,
    *,
    group_id: str | None = None,
    drafts: bool = True,
) -> Sequence[Calendar]:
    """All calendars of a location, oldest first; of one group; without those that are switched off."""
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
    return [calendar_of(row) for row in rows]


async def calendar_location(db: Tx | Database, account_id: str, calendar_id: str) -> str | None:
    """Where it stands, or stood before it was deleted; None: there never was one of this id."""
    found: str | None = await db.fetchval(
        "SELECT location_id FROM calendar WHERE account_id = $1 AND id = $2",
        account_id,
        calendar_id,
    )
    return found


async def save_calendar(db: Tx, calendar: Calendar) -> dict[str, int]:
    """Save changed settings; the versions after it. The row is locked by this transaction."""
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
    return await touch(db, calendar.account_id, calendars=[calendar.id], others=calendar.hosts)


async def delete_calendar(db: Tx, calendar: Calendar) -> dict[str, int]:
    """It answers as unknown from now on; the versions after that."""
    await db.execute(
        """
        UPDATE calendar SET deleted_at = clock_timestamp(), sequence = $3
         WHERE account_id = $1 AND id = $2
        """,
        calendar.account_id,
        calendar.id,
        calendar.sequence,
    )
    return await touch(db, calendar.account_id, calendars=[calendar.id], others=calendar.hosts)


async def upcoming(db: Tx | Database, account_id: str, calendar_id: str, now: Any) -> list[str]:
    """Ids of the calendar's appointments that occupy time after `now`, or wait for theirs."""
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


async def calendars_of_user(db: Tx | Database, account_id: str, user_id: str) -> Sequence[Calendar]:
    """The calendars whose team this user is in, oldest first."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND hosts @> ARRAY[$2::uuid] AND deleted_at IS NULL ORDER BY id
        """,
        account_id,
        user_id,
    )
    return [calendar_of(row) for row in rows]


async def owners_in(db: Tx | Database, account_id: str, locations: Iterable[str]) -> Sequence[str]:
    """The calendars of these locations, and whoever is in their teams."""
    rows = await db.fetch(
        """
        SELECT DISTINCT unnest(hosts || id) AS id FROM calendar
         WHERE account_id = $1 AND location_id = ANY ($2::uuid[]) AND deleted_at IS NULL
        """,
        account_id,
        sorted(locations),
    )
    return [row["id"] for row in rows]


async def calendars_of_group(db: Tx, account_id: str, group_id: str) -> list[Calendar]:
    """The calendars that name this group, their rows locked."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND settings ->> 'groupId' = $2 AND deleted_at IS NULL
         ORDER BY id FOR UPDATE
        """,
        account_id,
        group_id,
    )
    return [calendar_of(row) for row in rows]


async def lock_calendars(db: Tx, account_id: str, ids: Iterable[str]) -> list[Calendar]:
    """Those of these calendars that are there, their rows locked."""
    rows = await db.fetch(
        """
        SELECT * FROM calendar
         WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND deleted_at IS NULL
         ORDER BY id FOR UPDATE
        """,
        account_id,
        sorted({*ids}),
    )
    return [calendar_of(row) for row in rows]


async def reapply(db: Tx, account_id: str, ids: Iterable[str]) -> None:
    """Put on the rows of these calendars, which are locked, what applies to them now."""
    await db.execute("SELECT reapply($1, $2)", account_id, sorted({*ids}))
