"""Appointments as rows, without holds, and the meetings of their sessions."""

from collections.abc import Sequence
from datetime import datetime

import orjson

from booking.store.commit import outbox_row
from hoop_events.booking import Appointment, AppointmentUpdated, Meeting, MeetingProvider
from hoop_platform.db.database import Database, Tx, notify_after_commit
from hoop_platform.ids import hexed
from hoop_platform.outbox.announce import OUTBOX

CURRENT_STATE = (
    "a.state || jsonb_build_object('groupId', nullif(k.settings ->> 'groupId', '')) AS state"
)
"""The state of an appointment `a` as announced last, with the present group of its calendar `k`."""

_SELECT = """
    SELECT CURRENT_STATE
      FROM appointment a
      LEFT JOIN calendar k ON k.account_id = a.account_id AND k.id = a.calendar_id
""".replace("CURRENT_STATE", CURRENT_STATE)
_GET = (
    _SELECT
    + """
     WHERE a.account_id = $1 AND a.id = $2 AND a.deleted_at IS NULL AND a.held_until IS NULL
"""
)


async def get_appointment(
    db: Tx | Database, account_id: str, appointment_id: str
) -> Appointment | None:
    """The appointment as announced last, with the present group of its calendar.

    None for one that is unknown or deleted.
    """
    state = await db.fetchval(_GET, account_id, appointment_id)
    return Appointment.model_validate(state) if state else None


_LIST_SERIES = (
    _SELECT
    + """
     WHERE a.account_id = $1 AND a.state #>> '{series,master}' = $2 AND a.deleted_at IS NULL
     ORDER BY a.starts, a.id
"""
)


async def list_series(db: Tx | Database, account_id: str, master: str) -> list[Appointment]:
    """The occurrences of a series that are not deleted, in order of start."""
    rows = await db.fetch(_LIST_SERIES, account_id, master)
    return [Appointment.model_validate(row["state"]) for row in rows]


async def exists_series(db: Tx | Database, account_id: str, master: str) -> bool:
    """Whether there is or was such a series, deleted or not."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM appointment
                        WHERE account_id = $1 AND state #>> '{series,master}' = $2)
        """,
        account_id,
        master,
    )
    return found


async def is_deleted(db: Tx | Database, account_id: str, appointment_id: str) -> bool:
    """Whether there was such an appointment, which is deleted."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM appointment
                        WHERE account_id = $1 AND id = $2 AND deleted_at IS NOT NULL)
        """,
        account_id,
        appointment_id,
    )
    return found


async def update_meeting(
    db: Tx,
    account_id: str,
    session_id: str,
    provider: MeetingProvider,
    *,
    sequence: int,
    meeting: Meeting,
) -> bool:
    """Store an open session's meeting at this provider, for appointments that join the session later.

    The session's row is locked then. False when there is no such open session.
    """
    found = await db.fetchval(
        """
        UPDATE session SET revision = revision + 1,
               meetings = meetings || jsonb_build_object($3::text, $4::jsonb)
         WHERE account_id = $1 AND id = $2 AND closed_at IS NULL RETURNING true
        """,
        account_id,
        session_id,
        provider,
        {"sequence": sequence, "meeting": meeting.model_dump(mode="json", by_alias=True)},
    )
    return found is True


async def lock_session_appointments(db: Tx, account_id: str, session_id: str) -> list[Appointment]:
    """The appointments that take time in the session, their rows locked."""
    rows = await db.fetch(
        """
        SELECT state FROM appointment
         WHERE account_id = $1 AND session_id = $2 AND occupies AND held_until IS NULL
         ORDER BY id FOR NO KEY UPDATE
        """,
        account_id,
        session_id,
    )
    return [Appointment.model_validate(row["state"]) for row in rows]


_UPCOMING_OF_HOST = """
    SELECT a.starts, a.id FROM appointment a
     WHERE a.account_id = $1 AND HOSTED AND a.starts > $3::timestamptz - interval '32 days'
       AND a.ends > $3 AND a.occupies AND a.deleted_at IS NULL AND a.held_until IS NULL
"""
"""No appointment is longer than 31 days."""
_UPCOMING = " UNION ALL ".join(
    _UPCOMING_OF_HOST.replace("HOSTED", hosted)
    for hosted in ("a.host = $2", "a.cohosts IS NOT NULL AND a.cohosts ? $2 AND a.host <> $2")
)
_LOCK_UPCOMING = f"""
    SELECT state FROM appointment
     WHERE account_id = $1 AND id IN (SELECT id FROM ({_UPCOMING}) AS found)
     ORDER BY id FOR NO KEY UPDATE
"""  # noqa: S608 -- texts of our own
_LIST_UPCOMING = f"""
    SELECT a.state FROM ({_UPCOMING}) AS found
      JOIN appointment a ON a.account_id = $1 AND a.id = found.id
     WHERE (found.starts, found.id) > ($4, $5)
       AND (cardinality($6::uuid[]) = 0 OR a.location_id = ANY ($6))
       AND (cardinality($7::uuid[]) = 0 OR (a.calendar_id, a.starts) IN (
            SELECT calendar_id, starts FROM appointment WHERE account_id = $1 AND id = ANY ($7)))
     ORDER BY found.starts, found.id LIMIT $8
"""  # noqa: S608 -- texts of our own


async def lock_upcoming_of_host(
    db: Tx, account_id: str, user_id: str, *, now: datetime
) -> list[Appointment]:
    """The appointments of a host that end after `now` and take time, their rows locked."""
    rows = await db.fetch(_LOCK_UPCOMING, account_id, user_id, now)
    return [Appointment.model_validate(row["state"]) for row in rows]


async def count_appointments(
    db: Tx | Database, account_id: str, ids: Sequence[str], *, locations: Sequence[str]
) -> int:
    """How many of the ids are appointments; `locations`: only in one of these, if any."""
    found: int = await db.fetchval(
        """
        SELECT count(*) FROM appointment
         WHERE account_id = $1 AND id = ANY ($2::uuid[]) AND deleted_at IS NULL
           AND held_until IS NULL AND (cardinality($3::uuid[]) = 0 OR location_id = ANY ($3))
        """,
        account_id,
        list(ids),
        list(locations),
    )
    return found


async def list_upcoming_of_host(
    db: Tx | Database,
    account_id: str,
    user_id: str,
    *,
    now: datetime,
    after: tuple[datetime, str],
    locations: Sequence[str],
    ids: Sequence[str],
    limit: int,
) -> list[Appointment]:
    """The same without locks, a page in order of start.

    `locations`: only there, if there are any; `ids`: only at the calendar and start of one of these
    appointments, which together are the session.
    """
    rows = await db.fetch(
        _LIST_UPCOMING,
        account_id,
        user_id,
        now,
        *after,
        list(locations),
        list(ids),
        limit,
    )
    return [Appointment.model_validate(row["state"]) for row in rows]


_UPDATE_STATES = """
    WITH events AS (
        SELECT * FROM json_to_recordset($2::text::json) AS e (
               id uuid, event_id uuid, topic text, type text, source text, subject text,
               sequence bigint, dataschema text, time timestamptz, traceparent text, body json)
    ), updated AS (
        UPDATE appointment a SET sequence = e.sequence, state = (e.body -> 'state')::jsonb
          FROM events e WHERE a.account_id = $1 AND a.id = e.id
    )
    INSERT INTO outbox (event_id, topic, type, source, subject, sequence, account_id, dataschema,
                        time, traceparent, body)
    SELECT event_id, topic, type, source, subject, sequence, $1, dataschema, time, traceparent,
           convert_to(body::text, 'UTF8') FROM events
"""


async def update_states(
    db: Tx, account_id: str, events: Sequence[AppointmentUpdated], *, now: datetime
) -> None:
    """Save and announce the states of appointments whose times and seats do not change."""
    if events:
        rows = [{"id": hexed(event.subject), **outbox_row(event, now)} for event in events]
        await db.execute(_UPDATE_STATES, account_id, orjson.dumps(rows).decode())
        notify_after_commit(db, OUTBOX)
