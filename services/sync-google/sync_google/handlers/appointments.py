"""What an appointment's event does: it is remembered, and wished for in each connected calendar."""

from datetime import datetime

from hoop_events.booking import Appointment, AppointmentEvent
from hoop_platform.db.database import Tx
from hoop_platform.reconcile.desired_state import DesiredState, desire
from sync_google import store
from sync_google.domain import draft_of, subject_of


async def follow_appointment(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Remember the appointment and wish that Google shows it; harmless when the event is old."""
    known = _known(event.account_id, event.state)
    await store.hold_off_connecting(db)
    if not await store.keep_appointment(db, known):
        return
    for target in await store.targets(db, known.account_id, known.id, known.calendar_id):
        await wish(db, known, target)


async def forget_appointment(db: Tx, appointment_id: str) -> None:
    await store.forget_appointment(db, appointment_id)


async def wish(db: Tx, known: store.Known, target: store.Target) -> None:
    """It is to be seen in its own calendar's connection, and in no other."""
    here = target.calendar_id == known.calendar_id
    await desire(
        db,
        DesiredState(
            account_id=known.account_id,
            kind=store.KIND,
            subject=subject_of(known.id, target.connection_id),
            provider="google",
            provider_user=target.provider_user,
            due_start=known.starts_at,
            desired={"draft": known.draft if here else None},
            sequence=known.sequence,
        ),
    )


def _known(account_id: str, appointment: Appointment) -> store.Known:
    draft = draft_of(appointment)
    return store.Known(
        account_id=account_id,
        id=appointment.id,
        calendar_id=appointment.calendar_id,
        starts_at=appointment.start_time,
        ends_at=appointment.end_time,
        draft=draft.as_json() if draft else None,
        sequence=appointment.sequence,
    )
