"""Appointments as rows, and the meetings of their sessions. Held seats are not appointments yet."""

from hoop_events.booking import Appointment, Meeting, MeetingProvider
from hoop_platform.db.database import Database, Row, Tx

SHOWN = "a.state || jsonb_build_object('groupId', nullif(k.settings ->> 'groupId', '')) AS state"
"""Of an appointment `a` on a calendar `k`: as last announced, in the group the calendar is in by now."""

_SHOWN = """
    SELECT SHOWN
      FROM appointment a
      LEFT JOIN calendar k ON k.account_id = a.account_id AND k.id = a.calendar_id
""".replace("SHOWN", SHOWN)
_ONE = (
    _SHOWN
    + """
     WHERE a.account_id = $1 AND a.id = $2 AND a.deleted_at IS NULL AND a.held_until IS NULL
"""
)


async def appointment(
    db: Tx | Database, account_id: str, appointment_id: str
) -> Appointment | None:
    """The appointment as last announced, in the group its calendar is in by now.

    None when it is unknown here or deleted.
    """
    state = await db.fetchval(_ONE, account_id, appointment_id)
    return Appointment.model_validate(state) if state else None


_ONES = (
    _SHOWN
    + """
     WHERE a.account_id = $1 AND a.state #>> '{series,master}' = $2 AND a.deleted_at IS NULL
     ORDER BY a.starts, a.id
"""
)


async def series(db: Tx | Database, account_id: str, master: str) -> list[Appointment]:
    """The occurrences of a series that are not deleted, in order."""
    rows = await db.fetch(_ONES, account_id, master)
    return [Appointment.model_validate(row["state"]) for row in rows]


async def series_existed(db: Tx | Database, account_id: str, master: str) -> bool:
    """Say whether there has ever been such a series, deleted or not."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM appointment
                        WHERE account_id = $1 AND state #>> '{series,master}' = $2)
        """,
        account_id,
        master,
    )
    return found


async def was_deleted(db: Tx | Database, account_id: str, appointment_id: str) -> bool:
    """Say whether there has been such an appointment, which was deleted."""
    found: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM appointment
                        WHERE account_id = $1 AND id = $2 AND deleted_at IS NOT NULL)
        """,
        account_id,
        appointment_id,
    )
    return found


async def session_for_update(db: Tx, account_id: str, session_id: str) -> Row | None:
    """Lock an open session."""
    row: Row | None = await db.fetchrow(
        """
        SELECT * FROM session WHERE account_id = $1 AND id = $2 AND closed_at IS NULL
           FOR NO KEY UPDATE
        """,
        account_id,
        session_id,
    )
    return row


async def keep_meeting(
    db: Tx,
    account_id: str,
    session_id: str,
    provider: MeetingProvider,
    *,
    sequence: int,
    meeting: Meeting,
) -> None:
    """Remember the session's meeting for whoever joins."""
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


async def seated(db: Tx, account_id: str, session_id: str) -> list[Appointment]:
    """Everybody in the session, their rows locked."""
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


async def resave(db: Tx, account_id: str, after: Appointment) -> None:
    """Save what is announced about an appointment whose place does not change."""
    await db.execute(
        "UPDATE appointment SET sequence = $3, state = $4 WHERE account_id = $1 AND id = $2",
        account_id,
        after.id,
        after.sequence,
        after.model_dump(mode="json", by_alias=True),
    )
