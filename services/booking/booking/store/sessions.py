"""The open sessions of a calendar, and who attends them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from booking.store.calendar_events import Position
from hoop_events.booking import Meeting
from hoop_platform.db.database import Database, Row, Tx

MAX_ATTENDEES = 200
"""The most attendees of one session that are read."""


@dataclass(frozen=True)
class Attendee:
    """An appointment with a seat of the session; its id is that of the API."""

    appointment_id: str
    contact_id: str
    title: str
    status: str
    meeting: Meeting


@dataclass(frozen=True)
class AttendedSession:
    """An open session: `taken` counts the seats of appointments and of holds."""

    id: str
    hosts: tuple[str, ...]
    start: datetime
    end: datetime
    taken: int
    attendees: Sequence[Attendee]


# $1 account  $2 calendar  $3 start  $4 end  $5, $6 after  $7 limit  $8 the most attendees
LIST = """
SELECT s.id, s.hosts, s.starts, s.ends, seats.taken, seats.attendees
  FROM (SELECT * FROM session
         WHERE account_id = $1 AND calendar_id = $2 AND closed_at IS NULL
           AND starts >= $3 AND starts < $4 AND (starts, id) > ($5, $6)
         ORDER BY starts, id LIMIT $7) AS s
 CROSS JOIN LATERAL (
       SELECT count(*) AS taken,
              coalesce(jsonb_agg(jsonb_build_object(
                  'id', coalesce(a.state #>> '{series,occurrenceId}', a.state ->> 'id'),
                  'contact', a.state -> 'contactId',
                  'title', a.state #> '{personal,title}',
                  'status', a.state -> 'appointmentStatus',
                  'meeting', a.state -> 'meeting') ORDER BY a.seat)
                  FILTER (WHERE a.held_until IS NULL AND a.number <= $8), '[]') AS attendees
         FROM (SELECT seat, state, held_until, row_number() OVER (ORDER BY seat) AS number
                 FROM appointment
                WHERE account_id = s.account_id AND session_id = s.id AND seat IS NOT NULL) AS a
       ) AS seats
 ORDER BY s.starts, s.id
"""


async def list_sessions(
    db: Tx | Database,
    account_id: str,
    calendar_id: str,
    *,
    start: datetime,
    end: datetime,
    after: Position,
    limit: int,
) -> list[AttendedSession]:
    """The open sessions that begin within [start, end), in order of start."""
    rows = await db.fetch(LIST, account_id, calendar_id, start, end, *after, limit, MAX_ATTENDEES)
    return [_session(row) for row in rows]


def _session(row: Row) -> AttendedSession:
    return AttendedSession(
        id=row["id"],
        hosts=tuple(row["hosts"]),
        start=row["starts"],
        end=row["ends"],
        taken=row["taken"],
        attendees=[_attendee(one) for one in row["attendees"]],
    )


def _attendee(one: dict[str, Any]) -> Attendee:
    return Attendee(
        appointment_id=one["id"],
        contact_id=one["contact"],
        title=one["title"] or "",
        status=one["status"],
        meeting=Meeting.model_validate(one["meeting"]),
    )
