"""Appointment events: store the newest state, and desire its Google event in each connected calendar."""

from datetime import datetime

from hoop_events.booking import Appointment, AppointmentEvent
from hoop_platform.db.database import Tx
from hoop_platform.reconcile.desired_state import DesiredState
from hoop_platform.reconcile.work import desire
from sync_google.domain.identifiers import EVENT_KIND, event_subject
from sync_google.domain.plan import DesiredEvent, EventDraft, draft_of
from sync_google.store import appointments
from sync_google.store.appointments import Showing, StoredAppointment


async def on_appointment_changed(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Store the appointment and desire its Google events; an old event changes nothing."""
    appointment = _stored_appointment(event.account_id, event.state)
    shown = await appointments.store_appointment(db, appointment)
    await desire(db, *(desired_event(appointment, each) for each in shown))


async def on_appointment_tombstone(db: Tx, appointment_id: str) -> None:
    """Erase all that is stored about the appointment."""
    await appointments.delete_appointment(db, appointment_id)


def desired_event(appointment: StoredAppointment, showing: Showing) -> DesiredState:
    """The connected calendar shows the appointment, or no event if it is of another calendar.

    Without a sequence of its own: what is stored of the appointment is its newest state, and the
    connection may have changed since.
    """
    calendar = showing.calendar
    shown = appointment.draft if calendar.calendar_id == appointment.calendar_id else None
    draft = EventDraft.from_json(shown) if shown else None
    return DesiredState(
        account_id=appointment.account_id,
        kind=EVENT_KIND,
        subject=event_subject(appointment.id, calendar.connection_id),
        provider="google",
        provider_user=calendar.provider_user,
        due_start=appointment.starts_at,
        desired=DesiredEvent(draft, appointment.sequence, showing.has_first_id).as_json(),
        connection_id=calendar.connection_id,
    )


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
