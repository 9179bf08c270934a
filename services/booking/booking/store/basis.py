"""Reading what a decision stands on: one call, hence one snapshot; no locks."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from asyncpg import Range

from booking.domain.calendars import Calendar
from booking.domain.decisions import Seated
from booking.domain.placing import Basis, Session
from booking.store.calendars import calendar_of
from hoop_events.booking import Meeting
from hoop_platform.db.database import Database, Row, Tx
from hoop_scheduling.busy import Busy

AROUND = timedelta(days=1)
"""No buffer is longer than this, so nothing further away can matter."""

_BASIS = """
SELECT (calendar).*, resources, versions, busy_who, busy_from, busy_to, busy_before, busy_after,
       session_ids, days, on_day, seat, expired, contact_name
  FROM basis($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
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


async def basis(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    *,
    start: datetime,
    end: datetime,
    before: Seated | None,
    now: datetime,
    deleted_too: bool = False,
    contact: str | None = None,
) -> Basis | None:
    """What is known about this calendar around [start, end), and of the contact who books.

    None when there is no such calendar.

    Seats held until `now` or earlier are still in it, and named.
    Where it limits the appointments of a day, those of `start`'s date in UTC and of its neighbours
    are counted: the local date, which only the calendar's zone can tell, is one of the three.
    """
    row = await db.fetchrow(
        _BASIS,
        account_id,
        calendar_id,
        Range(start - AROUND, end + AROUND),
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
    return Basis(
        calendar=calendar,
        versions=dict(zip(row["resources"], row["versions"], strict=True)),
        busy=busy_of(row),
        sessions=await sessions(db, account_id, row["session_ids"]),
        day_counts=dict(zip(row["days"] or (), row["on_day"] or (), strict=True)),
        loads=await _loads(db, calendar, start),
        seat=row["seat"],
        expired=tuple(row["expired"]),
        contact_name=row["contact_name"],
    )


def busy_of(row: Row) -> dict[str, Busy]:
    """The columns `busy_…` of a row, by whom or what is busy."""
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    columns = ("busy_who", "busy_from", "busy_to", "busy_before", "busy_after")
    for who, start, end, before, after in zip(*(row[c] or () for c in columns), strict=True):
        found.setdefault(who, []).append((start, end, before * 60_000, after * 60_000))
    return {who: Busy.of(intervals) for who, intervals in found.items()}


async def sessions(db: Tx | Database, account_id: str, ids: Sequence[str]) -> tuple[Session, ...]:
    """Open sessions with the seats taken in each.

    Read after the snapshot of the basis: what changed in between shows in the versions.
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
            provider: Meeting.model_validate(said["meeting"])
            for provider, said in row["meetings"].items()
        },
    )


async def _loads(db: Tx | Database, calendar: Calendar, start: datetime) -> dict[str, int]:
    """Appointments of each host that start in the same local month: for equal distribution."""
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
