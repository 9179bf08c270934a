"""Appointments in their newest state, their threads, and the messages of these."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from hoop_events.booking import Appointment
from hoop_platform.db.database import Row, Tx
from notifications.domain.message import MessageContent
from notifications.domain.threads import FINAL, NotifiedState, Occasion, Thread, ThreadMessage

_NOTIFIED = TypeAdapter(NotifiedState)
_CONTENT = TypeAdapter(MessageContent)


@dataclass(frozen=True)
class ThreadKey:
    """Identifies a thread."""

    account_id: str
    appointment_id: str
    receiver_id: str

    @property
    def subject(self) -> str:
        """The subject of the thread's desired state."""
        return f"{self.appointment_id}.{self.receiver_id}"


async def lock_appointment(db: Tx, account_id: str, appointment_id: str) -> Appointment | None:
    """The newest state known; no other transaction changes its threads until this one ends."""
    state = await db.fetchval(
        "SELECT state FROM appointment WHERE account_id = $1 AND id = $2 FOR UPDATE",
        account_id,
        appointment_id,
    )
    return None if state is None else Appointment.model_validate(state)


async def upsert_appointment(db: Tx, account_id: str, state: Appointment) -> None:
    await db.execute(
        """
        INSERT INTO appointment (account_id, id, state) VALUES ($1, $2, $3)
        ON CONFLICT (account_id, id) DO UPDATE SET state = excluded.state
        """,
        account_id,
        state.id,
        state.model_dump(mode="json", by_alias=True),
    )


async def delete_appointment(db: Tx, appointment_id: str) -> list[ThreadKey]:
    """Delete the appointment of this id with its threads and messages; returns the keys of the threads.

    A tombstone names no account; ids are unique.
    """
    rows = await db.fetch("SELECT * FROM thread WHERE appointment_id = $1", appointment_id)
    await db.execute("DELETE FROM appointment WHERE id = $1", appointment_id)
    return [ThreadKey(r["account_id"], appointment_id, r["receiver_id"]) for r in rows]


async def delete_desired_states(db: Tx, keys: Sequence[ThreadKey]) -> None:
    """Delete the desired states of these threads: no message goes in them any more."""
    await db.execute(
        "DELETE FROM work WHERE kind = 'mail' AND subject = ANY($1::text[])",
        [key.subject for key in keys],
    )


async def list_threads(db: Tx, account_id: str, appointment_id: str) -> dict[str, Thread]:
    """Every thread of an appointment, by receiver id."""
    messages: dict[str, list[ThreadMessage]] = {}
    for row in await db.fetch(
        """
        SELECT * FROM message WHERE account_id = $1 AND appointment_id = $2
         ORDER BY updated_at, id
        """,
        account_id,
        appointment_id,
    ):
        messages.setdefault(row["receiver_id"], []).append(_message(row))
    rows = await db.fetch(
        "SELECT * FROM thread WHERE account_id = $1 AND appointment_id = $2",
        account_id,
        appointment_id,
    )
    return {r["receiver_id"]: _thread(r, messages.get(r["receiver_id"], ())) for r in rows}


async def get_pending_time(db: Tx, key: ThreadKey) -> timedelta:
    """How long the present occasion has been pending, by the database's clock."""
    pending_for: timedelta | None = await db.fetchval(
        """
        SELECT clock_timestamp() - pending_since FROM thread
         WHERE account_id = $1 AND appointment_id = $2 AND receiver_id = $3
        """,
        key.account_id,
        key.appointment_id,
        key.receiver_id,
    )
    return pending_for or timedelta()


async def upsert_thread(
    db: Tx, key: ThreadKey, thread: Thread, *, pending: Occasion | None
) -> None:
    """Store the thread and its pending occasion; a new occasion is pending since now."""
    await db.execute(
        """
        INSERT INTO thread AS t (account_id, appointment_id, receiver_id, role, notified,
                                 expects_appointment, pending_occasion, pending_since)
        VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $7::text IS NOT NULL THEN clock_timestamp() END)
        ON CONFLICT (account_id, appointment_id, receiver_id) DO UPDATE
           SET notified = excluded.notified,
               expects_appointment = excluded.expects_appointment,
               pending_occasion = excluded.pending_occasion,
               pending_since = CASE WHEN t.pending_occasion = excluded.pending_occasion
                                    THEN t.pending_since ELSE excluded.pending_since END
        """,
        key.account_id,
        key.appointment_id,
        key.receiver_id,
        thread.role,
        None if thread.notified is None else _NOTIFIED.dump_python(thread.notified, mode="json"),
        thread.expects_appointment,
        None if pending is None else pending.name,
    )


async def upsert_message(db: Tx, key: ThreadKey, message: ThreadMessage) -> int:
    """Store a message; returns how often a final status was announced, this time included."""
    announced: int = await db.fetchval(
        """
        INSERT INTO message AS m (account_id, id, appointment_id, receiver_id, kind, occasion,
                                  status, notified, content, address, reason, in_doubt,
                                  announced)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (account_id, id) DO UPDATE
           SET kind = excluded.kind, status = excluded.status, notified = excluded.notified,
               content = excluded.content, address = excluded.address, reason = excluded.reason,
               in_doubt = excluded.in_doubt,
               announced = m.announced + excluded.announced, updated_at = clock_timestamp()
        RETURNING announced
        """,
        key.account_id,
        message.id,
        key.appointment_id,
        key.receiver_id,
        message.occasion.kind,
        message.occasion.name,
        message.status,
        _NOTIFIED.dump_python(message.notified, mode="json"),
        None if message.content is None else _CONTENT.dump_python(message.content, mode="json"),
        message.address,
        message.reason,
        message.in_doubt,
        int(message.status in FINAL),
    )
    return announced


async def update_erased_messages(db: Tx, account_id: str, receiver_id: str) -> None:
    """Erase the receiver's address and the contents of messages; messages under way are not sent."""
    await db.execute(
        """
        UPDATE message
           SET address = NULL, content = NULL, updated_at = clock_timestamp(),
               status = CASE status WHEN 'waiting' THEN 'dropped' WHEN 'sending' THEN 'doubtful'
                                    ELSE status END
         WHERE account_id = $1 AND receiver_id = $2
           AND (address IS NOT NULL OR content IS NOT NULL)
        """,
        account_id,
        receiver_id,
    )


def _thread(row: Row, messages: Sequence[ThreadMessage]) -> Thread:
    notified: dict[str, Any] | None = row["notified"]
    return Thread(
        role=row["role"],
        receiver_id=row["receiver_id"],
        notified=None if notified is None else _NOTIFIED.validate_python(notified),
        expects_appointment=row["expects_appointment"],
        messages=tuple(messages),
    )


def _message(row: Row) -> ThreadMessage:
    content: dict[str, Any] | None = row["content"]
    return ThreadMessage(
        id=row["id"],
        occasion=Occasion(row["kind"], row["occasion"]),
        status=row["status"],
        notified=_NOTIFIED.validate_python(row["notified"]),
        address=row["address"],
        reason=row["reason"],
        content=None if content is None else _CONTENT.validate_python(content),
        in_doubt=row["in_doubt"],
    )
