"""Reading the snapshot of a decision: one call, which sees one moment, without locks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from asyncpg import Range

from booking.domain.calendars import Calendar
from booking.domain.decisions import Occupant
from booking.domain.snapshot import Session, Snapshot
from booking.store.calendars import calendar_of
from hoop_events.booking import Meeting
from hoop_platform.db.database import Database, Row, Tx
from hoop_scheduling.busy import Busy

MAX_BUFFER = timedelta(days=1)
"""No buffer is longer, so nothing further away from the requested time matters."""

_SNAPSHOT = """
SELECT (calendar).*, resources, versions, busy_who, busy_from, busy_to, busy_before, busy_after,
       session_ids, days, on_day, seat, expired, contact_name
  FROM decision_snapshot($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""

_SESSIONS = """
    SELECT s.*, b.buffer_before, b.buffer_after,
           ARRAY(SELECT seat FROM appointment a WHERE a.account_id = s.account_id
                 AND a.session_id = s.id AND a.seat IS NOT NULL) AS seats
      FROM session s
      JOIN allocation b ON b.account_id = s.account_id AND b.session_id = s.id
                       AND b.resource_id = s.host_id
     WHERE s.account_id = $1 AND s.id = ANY ($2::uuid[])
"""


async def get_snapshot(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    *,
    start: datetime,
    end: datetime,
    before: Occupant | None,
    now: datetime,
    deleted_too: bool = False,
    contact: str | None = None,
) -> Snapshot | None:
    """The snapshot for a decision on [start, end); None when there is no such calendar.

    `before` is the appointment or hold that is changed, `contact` the one of a new appointment.
    Holds that expired at `now` or earlier still take their time, and are listed in `expired`.
    With a daily limit, the appointments of `start`'s date in UTC and of its neighbours are counted:
    the local date of the calendar's zone is one of the three.
    """
    row = await db.fetchrow(
        _SNAPSHOT,
        account_id,
        calendar_id,
        Range(start - MAX_BUFFER, end + MAX_BUFFER),
        start,
        [*before.hosts, *before.resources] if before else [],
        before.session if before else None,
        start.astimezone(UTC).date(),
        before.id if before else None,
        now,
        deleted_too,
        contact,
    )
    if row is None:
        return None
    calendar = calendar_of(row)
    return Snapshot(
        calendar=calendar,
        versions=dict(zip(row["resources"], row["versions"], strict=True)),
        busy=busy_of(row),
        sessions=await list_sessions(db, account_id, row["session_ids"]),
        day_counts=dict(zip(row["days"] or (), row["on_day"] or (), strict=True)),
        loads=await _count_loads(db, calendar, start),
        seat=row["seat"],
        expired=tuple(row["expired"]),
        contact_name=row["contact_name"],
    )


def busy_of(row: Row) -> dict[str, Busy]:
    """The columns `busy_…` of a row, by the id of what is busy."""
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    columns = ("busy_who", "busy_from", "busy_to", "busy_before", "busy_after")
    for who, start, end, before, after in zip(*(row[c] or () for c in columns), strict=True):
        found.setdefault(who, []).append((start, end, before * 60_000, after * 60_000))
    return {who: Busy.of(intervals) for who, intervals in found.items()}


async def list_sessions(
    db: Tx | Database, account_id: str, ids: Sequence[str]
) -> tuple[Session, ...]:
    """Open sessions with the seats taken in each.

    They are read after the snapshot: a change in between shows in their revisions.
    """
    if not ids:
        return ()
    return tuple(_session(row) for row in await db.fetch(_SESSIONS, account_id, list(ids)))


def _session(row: Row) -> Session:
    return Session(
        id=row["id"],
        calendar_id=row["calendar_id"],
        hosts=tuple(row["hosts"]),
        starts=row["starts"],
        ends=row["ends"],
        shared=row["shared"],
        revision=row["revision"],
        seats=frozenset(row["seats"]),
        resources=tuple(row["resources"]),
        before=row["buffer_before"],
        after=row["buffer_after"],
        meetings={
            provider: Meeting.model_validate(entry["meeting"])
            for provider, entry in row["meetings"].items()
        },
    )


async def _count_loads(db: Tx | Database, calendar: Calendar, start: datetime) -> dict[str, int]:
    """The number of appointments of each host in the same local month, for equal distribution."""
    if not calendar.rules.equal_distribution:
        return {}
    rows = await db.fetch(
        """
        SELECT s.host_id, count(*) AS load
          FROM appointment a JOIN session s ON s.account_id = a.account_id AND s.id = a.session_id
         WHERE a.account_id = $1 AND a.calendar_id = $2 AND a.occupies AND a.held_until IS NULL
           AND date_trunc('month', a.local_day) =
               date_trunc('month', ($3::timestamptz AT TIME ZONE $4)::date)
         GROUP BY s.host_id
        """,
        calendar.account_id,
        calendar.id,
        start,
        calendar.time_zone,
    )
    return {row["host_id"]: row["load"] for row in rows}
