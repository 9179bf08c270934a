"""Lists of appointments and block slots that overlap a time, and of a contact's appointments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from booking.store.appointments import CURRENT_STATE
from hoop_events.base import iso
from hoop_events.booking import Appointment
from hoop_events.calendars import BlockSlot
from hoop_platform.db.database import Database, Tx

Position = tuple[datetime, str]
"""The position in a list: start and id of the last item of a page."""


@dataclass(frozen=True)
class CalendarEventFilter:
    """Appointments or block slots of one location that overlap `[start, end)`, in order of start.

    `calendars`: only on one of these; `user`: only hosted by this user; None: no restriction. Block
    slots need one of the two.
    """

    location_id: str
    start: datetime
    end: datetime
    calendars: Sequence[str] | None
    user: str | None
    after: Position
    limit: int
    statuses: Sequence[str] | None = None
    updated_after: datetime | None = None
    needs_host: bool = False
    """Only those of which a host was deleted."""


# $1 account  $2 location  $3 start  $4 end  $5, $6 after  $7 statuses  $8 updated after  $9 limit
# $10 user  $11 calendars
_MATCHES = """
           a.account_id = $1 AND a.location_id = $2 AND a.starts < $4 AND a.ends > $3
       AND a.deleted_at IS NULL AND a.held_until IS NULL AND (a.starts, a.id) > ($5, $6)
       AND ($7::text[] IS NULL OR a.state ->> 'appointmentStatus' = ANY ($7))
       AND ($8::text IS NULL OR a.state ->> 'dateUpdated' > $8)
     ORDER BY a.starts, a.id LIMIT $9
"""
# A list over a time reads the appointments that began at most a day before it, and the few longer ones.
_RECENT = "a.starts >= $3::timestamptz - interval '1 day'"
_LONG = """
    a.starts < $3::timestamptz - interval '1 day' AND a.ends - a.starts > interval '1 day'
       AND tstzrange(a.starts, a.ends) && tstzrange($3, $4)
"""
_ON_CALENDARS = """
SELECT CURRENT_STATE
  FROM (SELECT found.starts, found.id
          FROM unnest($11::uuid[]) AS c (id), LATERAL (
               (SELECT a.starts, a.id FROM appointment a
                 WHERE a.calendar_id = c.id AND RECENT
                   AND ($10::text IS NULL OR a.host = $10 OR a.cohosts ? $10) AND MATCHES)
               UNION ALL
               (SELECT a.starts, a.id FROM appointment a
                 WHERE a.calendar_id = c.id AND LONG
                   AND ($10::text IS NULL OR a.host = $10 OR a.cohosts ? $10) AND MATCHES)) AS found
         ORDER BY found.starts, found.id LIMIT $9) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts, page.id
"""
_HOSTED = """
SELECT CURRENT_STATE
  FROM (SELECT found.starts, found.id
          FROM ((SELECT a.starts, a.id FROM appointment a WHERE a.host = $10 AND RECENT AND MATCHES)
                UNION ALL
                (SELECT a.starts, a.id FROM appointment a
                  WHERE a.cohosts IS NOT NULL AND a.cohosts ? $10 AND a.host <> $10
                    AND RECENT AND MATCHES)
                UNION ALL
                (SELECT a.starts, a.id FROM appointment a
                  WHERE (a.host = $10 OR a.cohosts ? $10) AND LONG AND MATCHES)) AS found
         ORDER BY found.starts, found.id LIMIT $9) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts, page.id
"""
_NEEDING_HOST = """
SELECT CURRENT_STATE
  FROM (SELECT a.starts, a.id FROM appointment a
         WHERE a.needs_host AND ($10::text IS NULL OR a.host = $10 OR a.cohosts ? $10)
           AND ($11::uuid[] IS NULL OR a.calendar_id = ANY ($11)) AND MATCHES) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts, page.id
"""
_IN_LOCATION = """
SELECT CURRENT_STATE
  FROM (SELECT found.starts, found.id
          FROM ((SELECT a.starts, a.id FROM appointment a WHERE RECENT AND MATCHES)
                UNION ALL
                (SELECT a.starts, a.id FROM appointment a WHERE LONG AND MATCHES)) AS found
         ORDER BY found.starts, found.id LIMIT $9) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts, page.id
"""
_OF_CONTACT = """
SELECT CURRENT_STATE
  FROM (SELECT a.starts, a.id FROM appointment a
         WHERE a.account_id = $1 AND a.contact_id = $2 AND (a.starts, a.id) < ($3, $4)
           AND a.deleted_at IS NULL AND a.held_until IS NULL
         ORDER BY a.starts DESC, a.id DESC LIMIT $5) AS page
  JOIN appointment a ON a.account_id = $1 AND a.id = page.id
  LEFT JOIN calendar k ON k.account_id = $1 AND k.id = a.calendar_id
 ORDER BY page.starts DESC, page.id DESC
"""


def _expand(sql: str) -> str:
    for name, meaning in (
        ("CURRENT_STATE", CURRENT_STATE),
        ("RECENT", _RECENT),
        ("LONG", _LONG),
        ("MATCHES", _MATCHES),
    ):
        sql = sql.replace(name, meaning)
    return sql


ON_CALENDARS, HOSTED, NEEDING_HOST, IN_LOCATION, OF_CONTACT = map(
    _expand, (_ON_CALENDARS, _HOSTED, _NEEDING_HOST, _IN_LOCATION, _OF_CONTACT)
)


async def list_appointments(
    db: Tx | Database, account_id: str, filters: CalendarEventFilter
) -> list[Appointment]:
    """Appointments as announced last; cancelled ones, too, but no deleted ones and no holds.

    Each has the present group of its calendar.
    """
    sql, narrowed = _statement(filters)
    rows = await db.fetch(
        sql,
        account_id,
        filters.location_id,
        filters.start,
        filters.end,
        *filters.after,
        filters.statuses,
        filters.updated_after and iso(filters.updated_after),
        filters.limit,
        *narrowed,
    )
    return [Appointment.model_validate(row["state"]) for row in rows]


def _statement(filters: CalendarEventFilter) -> tuple[str, list[object]]:
    """The statement for these filters, and what narrows it, from $10 on."""
    calendars = None if filters.calendars is None else list(filters.calendars)
    if filters.needs_host:
        return NEEDING_HOST, [filters.user, calendars]
    if calendars is not None:
        return ON_CALENDARS, [filters.user, calendars]
    if filters.user is not None:
        return HOSTED, [filters.user]
    return IN_LOCATION, []


async def list_block_slots(
    db: Tx | Database, account_id: str, filters: CalendarEventFilter
) -> list[BlockSlot]:
    """Block slots that block one of the calendars, or the user."""
    rows = await db.fetch(
        """
        SELECT state FROM block_slot
         WHERE account_id = $1 AND location_id = $2 AND blocks = ANY ($3::uuid[])
           AND during && tstzrange($4, $5) AND deleted_at IS NULL
           AND (lower(during), id) > ($6, $7)
         ORDER BY lower(during), id LIMIT $8
        """,
        account_id,
        filters.location_id,
        [*(filters.calendars or ()), *([filters.user] if filters.user else ())],
        filters.start,
        filters.end,
        *filters.after,
        filters.limit,
    )
    return [BlockSlot.model_validate(row["state"]) for row in rows]


async def list_appointments_of_contact(
    db: Tx | Database, account_id: str, contact_id: str, *, before: Position, limit: int
) -> list[Appointment]:
    """The contact's appointments on any calendar, the latest start first."""
    rows = await db.fetch(OF_CONTACT, account_id, contact_id, *before, limit)
    return [Appointment.model_validate(row["state"]) for row in rows]
