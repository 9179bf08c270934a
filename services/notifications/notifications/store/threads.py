"""Appointments in their newest state, and their threads, one statement each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self

from hoop_events.booking import Appointment
from hoop_platform.db.database import Row, Tx
from hoop_platform.ids import hexed
from hoop_platform.reconcile.observed_state import ObservedState
from notifications.domain.history import NOTIFIED, with_history
from notifications.domain.message import Role, is_confirmed
from notifications.domain.notification_rules import NotificationRules
from notifications.domain.threads import Occasion, Thread
from notifications.store.notification_settings import rules_of


@dataclass(frozen=True)
class ThreadKey:
    """Identifies a thread. `conversation_id`: of its appointment, or of the series that it belongs to."""

    account_id: str
    conversation_id: str
    receiver_id: str

    @classmethod
    def of_appointment(cls, account_id: str, state: Appointment, receiver_id: str) -> Self:
        return cls(account_id, state.series.master if state.series else state.id, receiver_id)

    @property
    def subject(self) -> str:
        """The subject of the conversation's desired state, and of its messages."""
        return f"{self.conversation_id}.{self.receiver_id}"


def receiver_of(subject: str) -> str:
    """The receiver's id."""
    return subject.partition(".")[2]


@dataclass(frozen=True)
class LockedThread:
    """A thread as it is when an event comes, or as it begins."""

    thread: Thread
    pending_occasion: str | None = None
    pending_for: timedelta = timedelta()
    is_open: bool = False
    """An attempt at its message is due or under way."""

    def with_role(self, role: Role) -> "LockedThread":
        return replace(self, thread=replace(self.thread, role=role))


@dataclass(frozen=True)
class LockedAppointment:
    """What is known of an appointment: its newest state, the rules of its calendar, its threads."""

    state: Appointment | None
    rules: NotificationRules
    threads: Mapping[str, LockedThread]
    """By the receiver's id."""

    def is_switched_on(self, thread: Thread, occasion: Occasion, state: Appointment) -> bool:
        """Whether no setting switches this message off, as the settings are now."""
        confirmed = is_confirmed(state)
        kind, role, receiver_id = occasion.kind, thread.role, thread.receiver_id
        return self.rules.wording(kind, role, receiver_id, confirmed=confirmed) is not None


async def lock_appointment(db: Tx, account_id: str, event: Appointment) -> LockedAppointment:
    """What is known before this event; no other transaction changes it until this one ends."""
    rows = await db.fetch(
        "SELECT * FROM lock_appointment($1, $2, $3)", account_id, event.id, event.calendar_id
    )
    state = rows[0]["state"]
    return LockedAppointment(
        state=None if state is None else Appointment.model_validate(state),
        rules=rules_of(rows[0]["settings"]),
        threads={
            row["receiver_id"]: LockedThread(
                thread=_with_messages(account_id, row),
                pending_occasion=row["pending_occasion"],
                pending_for=row["pending_for"] or timedelta(),
                is_open=row["is_open"],
            )
            for row in rows
            if row["receiver_id"] is not None
        },
    )


def _with_messages(account_id: str, row: Row) -> Thread:
    thread, context = thread_of(row), row["context"]
    if context is None:
        return thread
    objects = ObservedState.of_context(account_id, context).objects
    return with_history(thread, objects, counted=row["counted"])


def thread_of(row: Row) -> Thread:
    """The thread of a row, without messages."""
    notified = row["notified"]
    return Thread(
        appointment_id=row["appointment_id"],
        role=row["role"],
        receiver_id=row["receiver_id"],
        notified=None if notified is None else NOTIFIED.validate_python(notified),
        expects_appointment=row["expects_appointment"],
    )


async def store_appointment(
    db: Tx,
    account_id: str,
    state: Appointment,
    threads: Sequence[tuple[Thread, Occasion | None]],
) -> None:
    """Store the newest state, and each thread with its pending occasion; a new one is pending since now."""
    user_id = state.assigned_user_id
    await db.execute(
        "SELECT store_appointment($1, $2)",
        {
            "account_id": hexed(account_id),
            "id": hexed(state.id),
            "state": state.model_dump(mode="json", by_alias=True),
            "calendar_id": hexed(state.calendar_id),
            "location_id": hexed(state.location_id),
            "contact_id": hexed(state.contact_id),
            "user_id": None if user_id is None else hexed(user_id),
        },
        [
            _stored(ThreadKey.of_appointment(account_id, state, t.receiver_id), t, p)
            for t, p in threads
        ],
    )


def _stored(key: ThreadKey, thread: Thread, pending: Occasion | None) -> dict[str, Any]:
    notified = thread.notified
    return {
        "receiver_id": hexed(key.receiver_id),
        "subject": key.subject,
        "role": thread.role,
        "notified": None if notified is None else NOTIFIED.dump_python(notified, mode="json"),
        "expects_appointment": thread.expects_appointment,
        "counted": thread.counted,
        "pending_occasion": None if pending is None else pending.name,
    }


async def delete_appointment(db: Tx, appointment_id: str) -> None:
    """Delete an appointment with its threads, messages and desired states: a tombstone names no account."""
    await db.execute("SELECT delete_appointment($1)", appointment_id)


async def erase_messages(db: Tx, account_id: str, receiver_id: str) -> None:
    """Erase the receiver's address and the contents of messages; messages under way are not sent."""
    await db.execute("SELECT erase_messages($1, $2)", account_id, receiver_id)
