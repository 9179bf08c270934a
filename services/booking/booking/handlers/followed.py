"""What booking learns from others: people, connections, busy times, and the links of meetings."""

from datetime import datetime

from booking.domain.calendars import PROVIDERS
from booking.store import appointments, known
from booking.store.versions import touch
from hoop_events.accounts import ContactChanged, ContactDeleted, UserChanged, UserDeleted
from hoop_events.base import Change
from hoop_events.booking import Appointment, AppointmentUpdated
from hoop_events.effects import ConnectionChanged, ExternalBusyChanged, MeetingLinkChanged
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce


async def user_changed(db: Tx, event: UserChanged, _: datetime) -> None:
    await known.know_user(db, event.account_id, event.state.id, event.state.name)


async def user_deleted(db: Tx, event: UserDeleted, _: datetime) -> None:
    await known.forget_user(db, event.account_id, event.state.id)


async def contact_changed(db: Tx, event: ContactChanged, _: datetime) -> None:
    state = event.state
    await known.know_contact(
        db,
        event.account_id,
        state.id,
        location_id=state.location_id,
        name=state.personal.name,
    )


async def contact_deleted(db: Tx, event: ContactDeleted, _: datetime) -> None:
    await known.forget_contact(db, event.account_id, event.state.id)


async def connection_changed(db: Tx, event: ConnectionChanged, _: datetime) -> None:
    await known.know_connection(db, event.account_id, event.state)


async def busy_changed(db: Tx, event: ExternalBusyChanged, _: datetime) -> None:
    """Somebody's other calendar blocks other times now; whatever is being decided is looked at again."""
    state = event.state
    resource = state.user_id or state.calendar_id
    await known.replace_busy(
        db,
        event.account_id,
        connection_id=state.connection_id,
        week=state.week,
        resource_id=resource,
        intervals=[(interval.start, interval.end) for interval in state.intervals],
    )
    await touch(db, event.account_id, calendars=(), others=[resource])


async def link_changed(db: Tx, event: MeetingLinkChanged, now: datetime) -> None:
    """Show the meeting of a session on everybody who sits in it; a closed session shows nothing."""
    link = event.state
    session = await appointments.session_for_update(db, event.account_id, link.session)
    if session is None:
        return
    await appointments.keep_meeting(
        db,
        event.account_id,
        link.session,
        link.provider,
        sequence=link.sequence,
        meeting=link.meeting,
    )
    for before in await appointments.seated(db, event.account_id, link.session):
        if PROVIDERS.get(before.meeting_location_type) == link.provider:
            await _show(db, event, before, now=now)


async def _show(db: Tx, event: MeetingLinkChanged, before: Appointment, *, now: datetime) -> None:
    if before.meeting == event.state.meeting:
        return
    after = before.model_copy(
        update={"meeting": event.state.meeting, "sequence": before.sequence + 1}
    )
    was = before.meeting.model_dump(mode="json", by_alias=True)
    change = Change(fields=("meeting",), previous={"meeting": was}, actor="meetings")
    await appointments.resave(db, event.account_id, after)
    told = AppointmentUpdated(account_id=event.account_id, state=after, change=change)
    await announce(db, told, now=now)
