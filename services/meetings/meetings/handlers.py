"""The changes that events and connections cause, each in the caller's transaction."""

from datetime import datetime

from hoop_events.accounts import UserChanged, UserDeleted
from hoop_events.booking import AppointmentEvent
from hoop_platform.db.database import Tx
from hoop_platform.providers.provider_accounts import (
    ProviderAccount,
    list_provider_accounts,
    lock_provider_account,
)
from hoop_platform.providers.status import disconnect
from hoop_platform.reconcile.desired_state import DesiredState
from hoop_platform.reconcile.work import abandon_objects, desire
from meetings.domain.sessions import (
    UPDATE_DELAY,
    DesiredMeeting,
    MeetingKey,
    derive_desired,
    member_of,
)
from meetings.providers.registry import PROVIDERS, provider_of
from meetings.store import sessions, users
from meetings.store.sessions import LockedSession

MEETING = "meeting"
CONNECTION = "connection"


async def on_appointment_changed(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Store the appointment's session, and refresh the desired meetings of its old and new session.

    An event that is not newer than the stored one changes nothing. A cancelled or deleted appointment
    stays a member of its session, but does not need a meeting.
    """
    provider = provider_of(event.state.meeting_location_type)
    member = member_of(event.account_id, event.state, provider=provider)
    affected = await sessions.upsert_member(db, member)
    await desire(db, *filter(None, map(_desired_state, affected)))


async def refresh_desired(db: Tx, key: MeetingKey) -> None:
    """Derive the desired meeting of a session again, under the host's present provider account."""
    if state := _desired_state(await sessions.lock_session(db, key)):
        await desire(db, state)


def _desired_state(session: LockedSession) -> DesiredState | None:
    """The desired state of a session's meeting; None when nothing has changed, or nobody can make it."""
    key, stored = session.key, session.previous
    if key.provider not in PROVIDERS:
        return None
    previous = DesiredMeeting.from_json(stored) if stored else None
    desired = derive_desired(session.members, previous)
    if desired is None:
        return None
    account = session.account_of(desired.host)
    content = {**desired.to_json(), "connection": account.version if account else None}
    if content == stored:
        return None
    return DesiredState(
        account_id=key.account_id,
        kind=MEETING,
        subject=key.subject,
        provider=key.provider,
        provider_user=(account.external_id if account else None) or desired.host,
        due_start=desired.start,
        desired=content,
        connection_id=account.connection_id if account else None,
        delay_if_live=UPDATE_DELAY if desired.phase == "needed" else None,
    )


async def on_user_changed(db: Tx, event: UserChanged, _: datetime) -> None:
    await users.upsert_user(db, event.account_id, event.state.id)


async def on_user_deleted(db: Tx, event: UserDeleted, now: datetime) -> None:
    """Disconnect the user's provider accounts; their meetings stay at the provider."""
    account_id, user_id = event.account_id, event.state.id
    await users.delete_user(db, account_id, user_id)
    accounts = await list_provider_accounts(db, account_id, owner_kind="user", owner_id=user_id)
    for listed in accounts:
        connection = await lock_provider_account(db, account_id, listed.id)
        if connection is not None and connection.status != "disconnected":
            ended = await disconnect(db, connection, now=now, reason="user_deleted")
            await on_connection_changed(db, ended, now)


async def on_appointment_tombstone(db: Tx, appointment_id: str) -> None:
    await sessions.delete_member(db, appointment_id)


async def on_connection_changed(db: Tx, connection: ProviderAccount, now: datetime) -> None:
    """Desire that the sessions of the connection's host are refreshed; a job does that one by one.

    From the transaction that ends a connection on, no call is made for its meetings, not even to
    delete them, as Zoom's integration guide demands.
    """
    if connection.status == "disconnected":
        await abandon_objects(db, connection.account_id, connection.id)
    await desire(
        db,
        DesiredState(
            account_id=connection.account_id,
            kind=CONNECTION,
            subject=connection.id,
            provider=connection.provider,
            provider_user=connection.id,
            due_start=now,
            desired={"host": connection.owner_id},
            sequence=connection.sequence,
        ),
    )
