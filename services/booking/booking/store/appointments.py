"""Appointments as rows, without holds, and the meetings of their sessions."""

from hoop_events.booking import Appointment, Meeting, MeetingProvider
from hoop_platform.db.database import Database, Row, Tx

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


async def lock_session(db: Tx, account_id: str, session_id: str) -> Row | None:
    """Lock an open session and return its row; None when there is no such open session."""
    row: Row | None = await db.fetchrow(
        """
        SELECT * FROM session WHERE account_id = $1 AND id = $2 AND closed_at IS NULL
           FOR NO KEY UPDATE
        """,
        account_id,
        session_id,
    )
    return row


async def update_meeting(
    db: Tx,
    account_id: str,
    session_id: str,
    provider: MeetingProvider,
    *,
    sequence: int,
    meeting: Meeting,
) -> None:
    """Store a session's meeting at this provider, for appointments that join the session later."""
    await db.execute(
        """
        UPDATE session SET revision = revision + 1,
               meetings = meetings || jsonb_build_object($3::text, $4::jsonb)
         WHERE account_id = $1 AND id = $2
        """,
        account_id,
        session_id,
        provider,
        {"sequence": sequence, "meeting": meeting.model_dump(mode="json", by_alias=True)},
    )


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


async def update_state(db: Tx, account_id: str, after: Appointment) -> None:
    """Save the state of an appointment whose time and seat do not change."""
    await db.execute(
        "UPDATE appointment SET sequence = $3, state = $4 WHERE account_id = $1 AND id = $2",
        account_id,
        after.id,
        after.sequence,
        after.model_dump(mode="json", by_alias=True),
    )
