"""Appointment events: store the newest state, and desire its Google event in each connected calendar."""

from datetime import datetime

from hoop_events.booking import Appointment, AppointmentEvent
from hoop_events.effects import CalendarPushFailed, FailedPush
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce
from hoop_platform.reconcile.desired_state import DesiredState, desire
from sync_google.domain.identifiers import EVENT_KIND, event_subject, split_subject
from sync_google.domain.plan import draft_of
from sync_google.store import appointments, connections, external_objects
from sync_google.store.appointments import StoredAppointment
from sync_google.store.connections import ConnectedCalendar


async def on_appointment_changed(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Store the appointment and desire its Google events; an old event changes nothing."""
    appointment = _stored_appointment(event.account_id, event.state)
    await connections.lock_against_connecting(db)
    if not await appointments.upsert_appointment(db, appointment):
        return
    for calendar in await connections.list_connected_calendars(
        db, appointment.account_id, appointment.id, appointment.calendar_id
    ):
        await desire_event(db, appointment, calendar)


async def on_appointment_tombstone(db: Tx, appointment_id: str) -> None:
    """Erase all that is stored about the appointment."""
    await appointments.delete_appointment(db, appointment_id)


async def desire_event(db: Tx, appointment: StoredAppointment, calendar: ConnectedCalendar) -> None:
    """Desire that the connected calendar shows the appointment, or no event if it is of another calendar."""
    draft = appointment.draft if calendar.calendar_id == appointment.calendar_id else None
    await desire(
        db,
        DesiredState(
            account_id=appointment.account_id,
            kind=EVENT_KIND,
            subject=event_subject(appointment.id, calendar.connection_id),
            provider="google",
            provider_user=calendar.provider_user,
            due_start=appointment.starts_at,
            desired={"draft": draft},
            sequence=appointment.sequence,
        ),
    )


async def announce_push_failed(
    db: Tx, account_id: str, subject: str, *, reason: str, now: datetime
) -> None:
    """Announce that Google will never take this state of an appointment."""
    appointment_id, connection_id = split_subject(subject)
    state = FailedPush(
        id=subject,
        sequence=await external_objects.upsert_push_failure(db, account_id, subject),
        appointment_id=appointment_id,
        connection_id=connection_id,
        reason=reason,
    )
    await announce(db, CalendarPushFailed(account_id=account_id, state=state), now=now)


def _stored_appointment(account_id: str, appointment: Appointment) -> StoredAppointment:
    draft = draft_of(appointment)
    return StoredAppointment(
        account_id=account_id,
        id=appointment.id,
        calendar_id=appointment.calendar_id,
        starts_at=appointment.start_time,
        ends_at=appointment.end_time,
        draft=draft.as_json() if draft else None,
        sequence=appointment.sequence,
    )
