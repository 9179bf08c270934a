"""Reading the snapshot of a decision: one call, which sees one moment, without locks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from booking.domain.calendars import Calendar
from booking.domain.decisions import Occupant
from booking.domain.snapshot import Session, Snapshot
from booking.store.database import BookingDatabase
from hoop_events.booking import Appointment, Hold, Meeting
from hoop_platform.db.database import UNAVAILABLE, Database, Row, Tx
from hoop_scheduling.busy import Busy

_SNAPSHOTS = """
SELECT before, (calendar).*, bookables, versions, busy_who, busy_from, busy_to, busy_before, busy_after,
       session_ids, days, on_day, seat, expired, contact_name, former_host
  FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::uuid[], $5::timestamptz[],
              $6::timestamptz[], $7::timestamptz[], $8::boolean[], $9::uuid[])
       WITH ORDINALITY AS q (account, appointment, held, calendar_id, starts, ends, instant,
                             deleted_too, contact, number),
       decision_snapshot(q.account, q.appointment, q.held, q.calendar_id, q.starts, q.ends, q.instant,
                         q.deleted_too, q.contact)
 ORDER BY number
"""

_SESSIONS = """
    SELECT s.*, b.buffer_before, b.buffer_after,
           ARRAY(SELECT seat FROM appointment a WHERE a.account_id = s.account_id
                 AND a.session_id = s.id AND a.seat IS NOT NULL) AS seats,
           (SELECT coalesce(a.state #>> '{series,occurrenceId}', a.state ->> 'id') FROM appointment a
             WHERE a.account_id = s.account_id AND a.session_id = s.id AND a.seat IS NOT NULL
               AND a.contact_id = $3 AND a.id IS DISTINCT FROM $4 LIMIT 1) AS attending
      FROM session s
      JOIN allocation b ON b.account_id = s.account_id AND b.session_id = s.id
                       AND b.bookable_id = s.host_id
     WHERE s.account_id = $1 AND s.id = ANY ($2::uuid[])
"""


@dataclass(frozen=True)
class SnapshotRequest:
    """What a decision is on: a time of a calendar, for a contact; or an appointment or a hold.

    `calendar_id`, `start` and `end` None: those of the appointment. `deleted_too`: deleted calendars
    as well.
    """

    account_id: str
    now: datetime
    calendar_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    contact: str | None = None
    appointment: str | None = None
    held: bool = False
    deleted_too: bool = False


@dataclass(frozen=True)
class Found:
    """The appointment or hold as announced last, and the snapshot; None for what there is not."""

    before: Occupant | None
    snapshot: Snapshot | None


async def get_snapshot(db: Tx | Database, request: SnapshotRequest) -> Found:
    """The snapshot for a decision, which shares a round trip with those that arrive at the same time.

    Holds that expired at `now` or earlier still take their time, and are listed in `expired`. With a
    daily limit, the appointments of the start's date in UTC and of its neighbours are counted: the
    local date of the calendar's zone is one of the three.
    """
    if isinstance(db, BookingDatabase):
        try:
            return await _found(db, request, await db.together(_fetch, request))
        except UNAVAILABLE:
            raise
        except asyncpg.exceptions.PostgresError:
            pass  # of another request, perhaps
    [row] = await _fetch(db, [request])
    return await _found(db, request, row)


async def _fetch(db: Tx | Database, requests: Sequence[SnapshotRequest]) -> Sequence[Row]:
    return await db.fetch(
        _SNAPSHOTS,
        [one.account_id for one in requests],
        [one.appointment for one in requests],
        [one.held for one in requests],
        [one.calendar_id for one in requests],
        [one.start for one in requests],
        [one.end for one in requests],
        [one.now for one in requests],
        [one.deleted_too for one in requests],
        [one.contact for one in requests],
    )


async def _found(db: Tx | Database, request: SnapshotRequest, row: Row) -> Found:
    state = row["before"]
    before = state and (Hold if request.held else Appointment).model_validate(state)
    if row["id"] is None:
        return Found(before, None)
    busy = busy_of(row)
    ids = row["session_ids"]
    sessions = await list_sessions(db, request, _contact(request, before), ids) if ids else {}

    calendar = Calendar.of(row)
    start = request.start or before.start_time
    counts = calendar.rules.equal_distribution
    snapshot = Snapshot(
        calendar=calendar,
        versions=dict(zip(row["bookables"], row["versions"], strict=True)),
        busy=busy,
        sessions=sessions,
        day_counts=dict(zip(row["days"] or (), row["on_day"] or (), strict=True)),
        loads=await _count_loads(db, calendar, start) if counts else {},
        seat=row["seat"],
        expired=tuple(row["expired"]),
        contact_name=row["contact_name"],
        former_host=row["former_host"],
    )
    return Found(before, snapshot)


def busy_of(row: Row) -> dict[str, Busy]:
    """The columns `busy_…` of a row, by the id of what is busy."""
    found: dict[str, list[tuple[int, int, int, int]]] = {}
    columns = ("busy_who", "busy_from", "busy_to", "busy_before", "busy_after")
    for who, start, end, before, after in zip(*(row[c] or () for c in columns), strict=True):
        found.setdefault(who, []).append((start, end, before * 60_000, after * 60_000))
    return {who: Busy.of(intervals) for who, intervals in found.items()}


def _contact(request: SnapshotRequest, before: Occupant | None) -> str | None:
    """The contact of the appointment afterwards; None for a hold that stays one."""
    return before.contact_id if isinstance(before, Appointment) else request.contact


async def list_sessions(
    db: Tx | Database, request: SnapshotRequest, contact: str | None, ids: Sequence[str]
) -> dict[str, Session]:
    """Open sessions by id, with the seats taken in each, and the one that the contact has.

    They are read after the snapshot: a change in between shows in their revisions, or in the versions
    of their hosts.
    """
    rows = await db.fetch(_SESSIONS, request.account_id, list(ids), contact, request.appointment)
    return {row["id"]: _session(row) for row in rows}


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
        attending=row["attending"],
    )


async def _count_loads(db: Tx | Database, calendar: Calendar, start: datetime) -> dict[str, Any]:
    """The number of appointments of each host in the same local month, for equal distribution."""
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
