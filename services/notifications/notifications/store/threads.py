"""What was said: the newest state of each appointment, its threads, their messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import TypeAdapter

from hoop_events.booking import Appointment
from hoop_platform.db.database import Row, Tx
from notifications.domain import FINAL, Letter, Message, Occasion, Thread, Told

_TOLD = TypeAdapter(Told)
_LETTER = TypeAdapter(Letter)


@dataclass(frozen=True)
class Key:
    """Names a thread."""

    account_id: str
    appointment_id: str
    receiver_id: str

    @property
    def subject(self) -> str:
        """The subject of the thread's wish."""
        return f"{self.appointment_id}.{self.receiver_id}"


async def lock_appointment(db: Tx, account_id: str, appointment_id: str) -> Appointment | None:
    """The newest state known. Until the transaction ends, nobody else works on its threads."""
    state = await db.fetchval(
        "SELECT state FROM appointment WHERE account_id = $1 AND id = $2 FOR UPDATE",
        account_id,
        appointment_id,
    )
    return None if state is None else Appointment.model_validate(state)


async def keep_appointment(db: Tx, account_id: str, state: Appointment) -> None:
    await db.execute(
        """
        INSERT INTO appointment (account_id, id, state) VALUES ($1, $2, $3)
        ON CONFLICT (account_id, id) DO UPDATE SET state = excluded.state
        """,
        account_id,
        state.id,
        state.model_dump(mode="json", by_alias=True),
    )


async def forget_appointment(db: Tx, appointment_id: str) -> list[Key]:
    """Its record on the topic is empty; answers the threads it had.

    A tombstone names no account: ids are unique.
    """
    rows = await db.fetch("SELECT * FROM thread WHERE appointment_id = $1", appointment_id)
    await db.execute("DELETE FROM appointment WHERE id = $1", appointment_id)
    return [Key(r["account_id"], appointment_id, r["receiver_id"]) for r in rows]


async def forget_wishes(db: Tx, keys: Sequence[Key]) -> None:
    """Nothing is to be said in these threads any more."""
    await db.execute(
        "DELETE FROM work WHERE kind = 'mail' AND subject = ANY($1::text[])",
        [key.subject for key in keys],
    )


async def threads(db: Tx, account_id: str, appointment_id: str) -> dict[str, Thread]:
    """Every thread of an appointment, by receiver."""
    messages: dict[str, list[Message]] = {}
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


async def waited(db: Tx, key: Key) -> timedelta:
    """How long the present occasion has been owed."""
    since: timedelta | None = await db.fetchval(
        """
        SELECT clock_timestamp() - owed_since FROM thread
         WHERE account_id = $1 AND appointment_id = $2 AND receiver_id = $3
        """,
        key.account_id,
        key.appointment_id,
        key.receiver_id,
    )
    return since or timedelta()


async def save_thread(db: Tx, key: Key, thread: Thread, *, owed: str | None) -> None:
    """Remember what is told and what is owed; since when, if the occasion is a new one."""
    await db.execute(
        """
        INSERT INTO thread AS t (account_id, appointment_id, receiver_id, role, told, believes,
                                 owed, owed_since)
        VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $7::text IS NOT NULL THEN clock_timestamp() END)
        ON CONFLICT (account_id, appointment_id, receiver_id) DO UPDATE
           SET told = excluded.told, believes = excluded.believes, owed = excluded.owed,
               owed_since = CASE WHEN t.owed = excluded.owed THEN t.owed_since
                                 ELSE excluded.owed_since END
        """,
        key.account_id,
        key.appointment_id,
        key.receiver_id,
        thread.role,
        None if thread.told is None else _TOLD.dump_python(thread.told, mode="json"),
        thread.believes,
        owed,
    )


async def save_message(db: Tx, key: Key, message: Message) -> int:
    """Remember a message; answers how often its fate has been announced, this time included."""
    announced: int = await db.fetchval(
        """
        INSERT INTO message AS m (account_id, id, appointment_id, receiver_id, kind, occasion,
                                  status, told, letter, address, reason, in_doubt,
                                  announced)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (account_id, id) DO UPDATE
           SET kind = excluded.kind, status = excluded.status, told = excluded.told,
               letter = excluded.letter, address = excluded.address, reason = excluded.reason,
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
        _TOLD.dump_python(message.told, mode="json"),
        None if message.letter is None else _LETTER.dump_python(message.letter, mode="json"),
        message.address,
        message.reason,
        message.in_doubt,
        int(message.status in FINAL),
    )
    return announced


def _thread(row: Row, messages: Sequence[Message]) -> Thread:
    told = None if row["told"] is None else _TOLD.validate_python(row["told"])
    return Thread(row["role"], row["receiver_id"], told, row["believes"], tuple(messages))


def _message(row: Row) -> Message:
    letter: dict[str, Any] | None = row["letter"]
    return Message(
        id=row["id"],
        occasion=Occasion(row["kind"], row["occasion"]),
        status=row["status"],
        told=_TOLD.validate_python(row["told"]),
        address=row["address"],
        reason=row["reason"],
        letter=None if letter is None else _LETTER.validate_python(letter),
        in_doubt=row["in_doubt"],
    )
