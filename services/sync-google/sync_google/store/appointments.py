"""Table `appointment`: the newest announced state of each appointment, and where it is shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hoop_events.calendar_uid import first_event_id
from hoop_platform.db.database import Tx
from hoop_platform.ids import hexed
from hoop_platform.reconcile.work import abandon_objects
from sync_google.domain.identifiers import event_subject
from sync_google.store.connections import ConnectedCalendar


@dataclass(frozen=True)
class StoredAppointment:
    """An appointment as its newest event announced it; `draft` None: it has no Google event."""

    account_id: str
    id: str
    calendar_id: str
    starts_at: datetime
    ends_at: datetime
    draft: dict[str, Any] | None
    sequence: int


@dataclass(frozen=True)
class Showing:
    """A connected calendar that shows an appointment, or may have shown it before."""

    calendar: ConnectedCalendar
    has_first_id: bool
    """Whether the connection may use the appointment's first id in its Google calendar."""


async def store_appointment(db: Tx, appointment: StoredAppointment) -> list[Showing]:
    """Store the appointment; the connected calendars that show it, or may have shown it before.

    None for one that is not newer than the stored one. An event that an ended connection has left
    behind in the same Google calendar is taken over. Holds `lock_against_connecting`.
    """
    stored = {**vars(appointment), **{n: hexed(getattr(appointment, n)) for n in _IDS}}
    rows = await db.fetch("SELECT * FROM store_appointment($1, $2)", stored, appointment.id)
    shown = [
        Showing(ConnectedCalendar.of_row(appointment.account_id, row), row["has_first_id"])
        for row in rows
    ]
    for row, each in zip(rows, shown, strict=True):
        if row["left_behind"]:
            await adopt_events(db, each.calendar, [appointment])
    return shown


async def claim_first_ids(
    db: Tx, calendar: ConnectedCalendar, appointments: Sequence[StoredAppointment]
) -> list[Showing]:
    """The connected calendar as what shows each of these appointments, which are of its calendar."""
    rows = await db.fetch(
        """
        SELECT claim_first_id($1, id, $3, $4) AS has_first_id
          FROM unnest($2::text[]) WITH ORDINALITY AS a (id, position) ORDER BY position
        """,
        calendar.account_id,
        [appointment.id for appointment in appointments],
        calendar.provider_user,
        calendar.connection_id,
    )
    return [Showing(calendar, row["has_first_id"]) for row in rows]


async def adopt_events(
    db: Tx, calendar: ConnectedCalendar, appointments: Iterable[StoredAppointment]
) -> None:
    """Let a connection take over the events that earlier ones have left in its Google calendar."""
    takers = [
        {
            "subject": event_subject(appointment.id, calendar.connection_id),
            "connection_id": hexed(calendar.connection_id),
            "calendar": calendar.provider_user,
        }
        for appointment in appointments
    ]
    await db.execute("SELECT adopt_events($1, $2)", calendar.account_id, takers)


async def abandon_events(db: Tx, account_id: str, connection_id: str) -> None:
    """Abandon the events of a connection that ends, all but those that other connections take over.

    The desired states are locked before the events, as everywhere.
    """
    takers = await db.fetchval("SELECT prepare_takers($1, $2)", account_id, connection_id)
    await abandon_objects(db, account_id, connection_id)
    await db.execute("SELECT adopt_events($1, $2)", account_id, takers)
    await db.execute("SELECT release_first_ids($1, $2)", account_id, connection_id)


async def delete_appointment(db: Tx, appointment_id: str) -> None:
    """Delete all rows about an appointment. A tombstone carries the id only, and no account."""
    await db.execute("DELETE FROM appointment WHERE id = $1", appointment_id)
    await db.execute("DELETE FROM first_event WHERE event_id = $1", first_event_id(appointment_id))
    for table in ("work", "external"):
        await db.execute(
            f"DELETE FROM {table} WHERE kind = 'google-event' AND left(subject, 26) = $1",  # noqa: S608 -- two names of our own
            appointment_id,
        )


async def list_appointments_after(
    db: Tx, account_id: str, calendar_id: str, *, after: tuple[datetime, str]
) -> list[StoredAppointment]:
    """At most 200 appointments that have a draft, by `(ends_at, id)`, behind this position."""
    rows = await db.fetch(
        """
        SELECT * FROM appointment
         WHERE account_id = $1 AND calendar_id = $2 AND (ends_at, id) > ($3, $4)
           AND draft IS NOT NULL
         ORDER BY ends_at, id LIMIT 200
        """,
        account_id,
        calendar_id,
        *after,
    )
    return [StoredAppointment(**dict(row)) for row in rows]


_IDS = ("account_id", "id", "calendar_id")
