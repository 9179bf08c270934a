"""Handlers of the events of other services: users, contacts, connections, busy times, meeting links."""

from datetime import datetime

from booking.store import appointments, projections
from booking.store.locks import update_versions
from hoop_events.accounts import ContactChanged, ContactDeleted, UserChanged
from hoop_events.base import Change
from hoop_events.booking import Appointment, AppointmentUpdated
from hoop_events.effects import ConnectionChanged, ExternalBusyChanged, MeetingLinkChanged
from hoop_events.meeting_locations import PROVIDER_OF_LOCATION_TYPE
from hoop_platform.db.database import Tx


async def on_user_changed(db: Tx, event: UserChanged, _: datetime) -> None:
    await projections.upsert_user(db, event.account_id, event.state.id, event.state.name)


async def on_contact_changed(db: Tx, event: ContactChanged, _: datetime) -> None:
    state = event.state
    await projections.upsert_contact(
        db,
        event.account_id,
        state.id,
        location_id=state.location_id,
        name=state.personal.name,
    )


async def on_contact_deleted(db: Tx, event: ContactDeleted, _: datetime) -> None:
    await projections.delete_contact(db, event.account_id, event.state.id)


async def on_connection_changed(db: Tx, event: ConnectionChanged, _: datetime) -> None:
    await projections.upsert_connection(db, event.account_id, event.state)


async def on_external_busy_changed(db: Tx, event: ExternalBusyChanged, _: datetime) -> None:
    """Replace the busy times of an external calendar in a week, and invalidate open snapshots."""
    state = event.state
    bookable = state.user_id or state.calendar_id
    await projections.update_external_busy(
        db,
        event.account_id,
        connection_id=state.connection_id,
        week=state.week,
        bookable_id=bookable,
        intervals=[(interval.start, interval.end) for interval in state.intervals],
    )
    await update_versions(db, event.account_id, calendars=(), others=[bookable])


async def on_meeting_link_changed(db: Tx, event: MeetingLinkChanged, now: datetime) -> None:
    """Show a session's meeting on each of its appointments; nothing happens for a closed session."""
    link = event.state
    is_open = await appointments.update_meeting(
        db,
        event.account_id,
        link.session,
        link.provider,
        sequence=link.sequence,
        meeting=link.meeting,
    )
    if not is_open:
        return
    states = await appointments.lock_session_appointments(db, event.account_id, link.session)
    events = [
        _with_meeting(event, before)
        for before in states
        if PROVIDER_OF_LOCATION_TYPE.get(before.meeting_location_type) == link.provider
        and before.meeting != link.meeting
    ]
    await appointments.update_states(db, event.account_id, events, now=now)


def _with_meeting(event: MeetingLinkChanged, before: Appointment) -> AppointmentUpdated:
    """The event that announces the appointment with the new meeting."""
    after = before.model_copy(
        update={"meeting": event.state.meeting, "sequence": before.sequence + 1}
    )
    was = before.meeting.model_dump(mode="json", by_alias=True)
    change = Change(fields=("meeting",), previous={"meeting": was}, actor="meetings")
    return AppointmentUpdated(account_id=event.account_id, state=after, change=change)
