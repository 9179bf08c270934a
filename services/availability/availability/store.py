"""The read model as rows: written by events, read by one window at a time."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from asyncpg import Range

from availability.domain import Occupied, Offer
from hoop_events import Appointment, BusyWeek, Calendar
from shared.db import Connection, Database
from shared.slots import day_of, epoch_ms

AROUND = timedelta(days=1)
"""No buffer is longer than this, so nothing further outside the window can matter."""


async def keep_calendar(
    db: Connection, account_id: str, state: Calendar, *, hosts: Sequence[str]
) -> None:
    await db.execute(
        """
        INSERT INTO calendar (account_id, id, location_id, time_zone, hosts, settings, sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (account_id, id) DO UPDATE
           SET location_id = excluded.location_id, time_zone = excluded.time_zone,
               hosts = excluded.hosts, settings = excluded.settings, sequence = excluded.sequence
        """,
        account_id,
        state.id,
        state.location_id,
        state.time_zone,
        list(hosts),
        state.settings,
        state.sequence,
    )


async def drop_calendar(db: Connection, account_id: str, calendar_id: str) -> None:
    await db.execute(
        "DELETE FROM calendar WHERE account_id = $1 AND id = $2", account_id, calendar_id
    )


async def calendar(db: Database, account_id: str, calendar_id: str) -> Offer | None:
    """The calendar, unless it is unknown here."""
    row = await db.fetchrow(
        "SELECT * FROM calendar WHERE account_id = $1 AND id = $2", account_id, calendar_id
    )
    if row is None:
        return None
    return Offer(
        account_id=account_id,
        id=row["id"],
        time_zone=row["time_zone"],
        hosts=tuple(row["hosts"]),
        sequence=row["sequence"],
        settings=row["settings"],
    )


async def keep_appointment(db: Connection, account_id: str, state: Appointment) -> None:
    """What the appointment occupies is exactly this, whatever it was before."""
    await db.execute(
        "DELETE FROM taken WHERE account_id = $1 AND appointment_id = $2", account_id, state.id
    )
    if not state.occupies:
        return
    await db.execute(
        """
        INSERT INTO taken (account_id, appointment_id, resource_id, calendar_id, session_id, during,
                           buffer_before, buffer_after, local_day)
        SELECT $1, $2, resource, $4, $5, $6, $7, $8, $9 FROM unnest($3::uuid[]) AS resource
        """,
        account_id,
        state.id,
        [*state.hosts, *state.resources],
        state.calendar_id,
        state.session,
        Range(state.start_time, state.end_time),
        state.buffer_before,
        state.buffer_after,
        day_of(epoch_ms(state.start_time), state.time_zone),
    )


async def keep_busy(db: Connection, account_id: str, state: BusyWeek) -> None:
    """What this connection blocks in this week is exactly this."""
    await db.execute(
        "DELETE FROM external_busy WHERE account_id = $1 AND connection_id = $2 AND week = $3",
        account_id,
        state.connection_id,
        state.week,
    )
    resource = state.user_id or state.calendar_id
    await db.executemany(
        """
        INSERT INTO external_busy (account_id, connection_id, week, resource_id, during)
        VALUES ($1, $2, $3, $4, $5)
        """,
        [
            (account_id, state.connection_id, state.week, resource, Range(i.start, i.end))
            for i in state.intervals
        ],
    )


_OCCUPIED = """
    SELECT resource_id, min(lower(during)) AS starts, max(upper(during)) AS ends,
           buffer_before, buffer_after, calendar_id, count(*) AS seats
      FROM taken
     WHERE account_id = $1 AND resource_id = ANY ($2::uuid[]) AND during && $3::tstzrange
     GROUP BY resource_id, session_id, calendar_id, buffer_before, buffer_after
    UNION ALL
    SELECT resource_id, lower(during), upper(during), 0, 0, NULL, 0
      FROM external_busy
     WHERE account_id = $1 AND resource_id = ANY ($2::uuid[]) AND during && $3::tstzrange
"""


async def occupied(
    db: Database, offer: Offer, start: datetime, end: datetime
) -> Sequence[Occupied]:
    """What occupies the calendar's hosts, and itself, around [start, end)."""
    resources = [*offer.hosts, *({offer.id} - {*offer.hosts})]
    window = Range(start - AROUND, end + AROUND)
    rows = await db.fetch(_OCCUPIED, offer.account_id, resources, window)
    return [
        Occupied(
            resource=row["resource_id"],
            start=epoch_ms(row["starts"]),
            end=epoch_ms(row["ends"]),
            before=row["buffer_before"] * 60_000,
            after=row["buffer_after"] * 60_000,
            calendar=row["calendar_id"],
            seats=row["seats"],
        )
        for row in rows
    ]


async def day_counts(db: Database, offer: Offer, start: datetime, end: datetime) -> dict[date, int]:
    """Occupying appointments of the calendar by local date, if it limits them."""
    if not offer.rules.per_day:
        return {}
    rows = await db.fetch(
        """
        SELECT local_day, count(DISTINCT appointment_id) AS n FROM taken
         WHERE account_id = $1 AND calendar_id = $2 AND local_day BETWEEN $3 AND $4
         GROUP BY local_day
        """,
        offer.account_id,
        offer.id,
        (start - AROUND).date(),
        (end + AROUND).date(),
    )
    counts: dict[date, Any] = {row["local_day"]: row["n"] for row in rows}
    return counts
