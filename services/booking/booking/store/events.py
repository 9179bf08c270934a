"""Which appointments and block slots lie in a time; which appointments are a contact's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from booking.store.appointments import SHOWN
from hoop_events.base import iso
from hoop_events.booking import Appointment
from hoop_events.calendars import BlockSlot
from hoop_platform.db.database import Database, Tx

Place = tuple[datetime, str]
"""Where a list goes on: start and id of the last item shown."""


@dataclass(frozen=True)
class Wanted:
    """Appointments or block slots of one location that overlap `[start, end)`, in order of start.

    With `calendars` only those on one of them, with `user` only those the user hosts; None: all.
    """

    location_id: str
    start: datetime
    end: datetime
    calendars: Sequence[str] | None
    user: str | None
    after: Place
    limit: int
    statuses: Sequence[str] | None = None
    updated_after: datetime | None = None


# $1 account  $2 location  $3 start  $4 end  $5, $6 after  $7 statuses  $8 updated after  $9 limit
# $10 user  $11 calendars
_FITS = """
           a.account_id = $1 AND a.location_id = $2 AND a.starts < $4 AND a.ends > $3
       AND a.deleted_at IS NULL AND a.held_until IS NULL AND (a.starts, a.id) > ($5, $6)
       AND ($7::text[] IS NULL OR a.state ->> 'appointmentStatus' = ANY ($7))
       AND ($8::text IS NULL OR a.state ->> 'dateUpdated' > $8)
     ORDER BY a.starts, a.id LIMIT $9
"""
_RECENT = "a.starts >= $3::timestamptz - interval '1 day'"
_LONG = """
    a.starts < $3::timestamptz - interval '1 day' AND a.ends - a.starts > interval '1 day'
       AND tstzrange(a.starts, a.ends) && tstzrange($3, $4)
"""
_ON_CALENDARS = """
SELECT SHOWN
  FROM (SELECT found.starts, found.id
          FROM unnest($11::uuid[]) AS c (id), LATERAL (
               (SELECT a.starts, a.id FROM appointment a
                 WHERE a.calendar_id = c.id AND RECENT
                   AND ($10::text IS NULL OR a.host = $10 OR a.cohosts ? $10) AND FITS)
               UNION ALL
               (SELECT a.starts, a.id FROM appointment a
                 WHERE a.calendar_id = c.id AND LONG
                   AND ($10::text IS NULL OR a.host = $10 OR a.cohosts ? $10) AND FITS)) AS found
         ORDER BY found.starts, found.id LIMIT $9) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts, page.id
"""
_HOSTED = """
SELECT SHOWN
  FROM (SELECT found.starts, found.id
          FROM ((SELECT a.starts, a.id FROM appointment a WHERE a.host = $10 AND RECENT AND FITS)
                UNION ALL
                (SELECT a.starts, a.id FROM appointment a
                  WHERE a.cohosts IS NOT NULL AND a.cohosts ? $10 AND a.host <> $10
                    AND RECENT AND FITS)
                UNION ALL
                (SELECT a.starts, a.id FROM appointment a
                  WHERE (a.host = $10 OR a.cohosts ? $10) AND LONG AND FITS)) AS found
         ORDER BY found.starts, found.id LIMIT $9) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts, page.id
"""


_OF_CONTACT = """
SELECT SHOWN
  FROM (SELECT a.starts, a.id FROM appointment a
         WHERE a.account_id = $1 AND a.contact_id = $2 AND (a.starts, a.id) < ($3, $4)
           AND a.deleted_at IS NULL AND a.held_until IS NULL
         ORDER BY a.starts DESC, a.id DESC LIMIT $5) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts DESC, page.id DESC
"""


def _spelled_out(sql: str) -> str:
    for name, meaning in (("SHOWN", SHOWN), ("RECENT", _RECENT), ("LONG", _LONG), ("FITS", _FITS)):
        sql = sql.replace(name, meaning)
    return sql


ON_CALENDARS, HOSTED, OF_CONTACT = map(_spelled_out, (_ON_CALENDARS, _HOSTED, _OF_CONTACT))


async def appointments(db: Tx | Database, account_id: str, wanted: Wanted) -> list[Appointment]:
    """As they were announced last; cancelled ones, too, but no deleted ones and no holds.

    Each with the group that its calendar is in by now.
    """
    calendars = () if wanted.calendars is None else (list(wanted.calendars),)
    rows = await db.fetch(
        HOSTED if wanted.calendars is None else ON_CALENDARS,
        account_id,
        wanted.location_id,
        wanted.start,
        wanted.end,
        *wanted.after,
        wanted.statuses,
        wanted.updated_after and iso(wanted.updated_after),
        wanted.limit,
        wanted.user,
        *calendars,
    )
    return [Appointment.model_validate(row["state"]) for row in rows]


async def blocks(db: Tx | Database, account_id: str, wanted: Wanted) -> list[BlockSlot]:
    """Those that block one of the calendars, or the user."""
    rows = await db.fetch(
        """
        SELECT state FROM block_slot
         WHERE account_id = $1 AND location_id = $2 AND blocks = ANY ($3::uuid[])
           AND during && tstzrange($4, $5) AND deleted_at IS NULL
           AND (lower(during), id) > ($6, $7)
         ORDER BY lower(during), id LIMIT $8
        """,
        account_id,
        wanted.location_id,
        [*(wanted.calendars or ()), *([wanted.user] if wanted.user else ())],
        wanted.start,
        wanted.end,
        *wanted.after,
        wanted.limit,
    )
    return [BlockSlot.model_validate(row["state"]) for row in rows]


async def of_contact(
    db: Tx | Database, account_id: str, contact_id: str, *, before: Place, limit: int
) -> list[Appointment]:
    """The contact's appointments on any calendar, the last start first."""
    rows = await db.fetch(OF_CONTACT, account_id, contact_id, *before, limit)
    return [Appointment.model_validate(row["state"]) for row in rows]


async def contact_location(db: Tx | Database, account_id: str, contact_id: str) -> str | None:
    """Where the contact is; None when the account has no such contact."""
    found: str | None = await db.fetchval(
        "SELECT location_id FROM known_contact WHERE account_id = $1 AND id = $2",
        account_id,
        contact_id,
    )
    return found


async def calendars_in(db: Tx | Database, account_id: str, group_id: str) -> list[str]:
    """The ids of the calendars that are in this group now."""
    rows = await db.fetch(
        """
        SELECT id FROM calendar
         WHERE account_id = $1 AND settings ->> 'groupId' = $2 AND deleted_at IS NULL ORDER BY id
        """,
        account_id,
        group_id,
    )
    return [row["id"] for row in rows]
