"""The changes that events, connections and attempts cause, each in the caller's transaction."""

from datetime import datetime
from typing import Any

from hoop_events.accounts import UserChanged, UserDeleted
from hoop_events.booking import AppointmentEvent, Meeting
from hoop_events.effects import MeetingLink, MeetingLinkChanged
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce
from hoop_platform.providers.provider_accounts import (
    ProviderAccount,
    list_provider_accounts,
    lock_provider_account,
)
from hoop_platform.providers.status import disconnect, set_status
from hoop_platform.reconcile.desired_state import DesiredState, desire
from meetings.domain.sessions import (
    DesiredMeeting,
    HostAccount,
    MeetingKey,
    SessionMember,
    derive_desired,
    member_of,
)
from meetings.store import external_objects, links, sessions, users

MEETING = "meeting"
CONNECTION = "connection"


async def on_appointment_changed(db: Tx, event: AppointmentEvent, _: datetime) -> None:
    """Store the appointment's session, and refresh the desired meetings of its old and new session.

    An event that is not newer than the stored one changes nothing. A cancelled or deleted appointment
    stays a member of its session, but does not need a meeting.
    """
    member = member_of(event.account_id, event.state)
    before = await sessions.get_member(db, member.account_id, member.appointment_id)
    if before is not None and before.sequence >= member.sequence:
        return
    await sessions.upsert_member(db, member)
    keys = _affected_keys(before, member)
    shared = member.shared or (before is not None and before.shared)
    await sessions.lock_sessions(db, keys, shared=shared)
    for key in keys:
        await refresh_desired(db, key)


def _affected_keys(before: SessionMember | None, after: SessionMember) -> list[MeetingKey]:
    keys = {after.key, before.key if before else None}
    return sorted(key for key in keys if key)


async def refresh_desired(db: Tx, key: MeetingKey) -> bool:
    """Derive the desired meeting of a locked session again; returns whether it differs from before."""
    stored = await sessions.get_desired(db, key)
    previous = DesiredMeeting.from_json(stored) if stored else None
    desired = derive_desired(await sessions.list_members(db, key), previous)
    if desired is None:
        return False
    account = await users.get_host_account(db, key.account_id, key.provider, desired.host)
    content = {**desired.to_json(), "connection": account.version if account else None}
    if content == stored:
        return False
    await _desire(db, key, desired, content, provider_user=provider_user(desired, account))
    return True


def provider_user(desired: DesiredMeeting, account: HostAccount | None) -> str:
    """The provider's user whose limits the calls count against; the host's id until one is known."""
    return (account.external_id if account else None) or desired.host


async def _desire(
    db: Tx,
    key: MeetingKey,
    desired: DesiredMeeting,
    content: dict[str, Any],
    *,
    provider_user: str,
) -> None:
    sequence = await sessions.upsert_desired(
        db, key, content, host=desired.host, ends_at=desired.end
    )
    await desire(
        db,
        DesiredState(
            account_id=key.account_id,
            kind=MEETING,
            subject=key.subject,
            provider=key.provider,
            provider_user=provider_user,
            due_start=desired.due_start(exists=await external_objects.exists_live(db, key)),
            desired=content,
            sequence=sequence,
        ),
    )


async def requeue(db: Tx, key: MeetingKey) -> None:
    """Make the desired meeting of a locked session due again, unchanged.

    For a process that created a meeting after it had lost the lease: the present holder of the lease
    must take the meeting into account.
    """
    content = await sessions.get_desired(db, key)
    assert content is not None
    desired = DesiredMeeting.from_json(content)
    account = await users.get_host_account(db, key.account_id, key.provider, desired.host)
    await _desire(db, key, desired, content, provider_user=provider_user(desired, account))


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
        await external_objects.update_abandoned(db, connection.account_id, connection.id)
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


async def suspend_account(
    db: Tx, account_id: str, connection_id: str, *, reason: str, now: datetime
) -> None:
    """Set an active connection to `pending`: the provider refuses access until its owner reconnects.

    Meetings and links stay as they are.
    """
    connection = await lock_provider_account(db, account_id, connection_id)
    if connection is not None and connection.status == "active":
        await set_status(db, connection, status="pending", reason=reason, now=now)


async def announce_link(db: Tx, key: MeetingKey, meeting: Meeting, *, now: datetime) -> None:
    """Announce the session's meeting if it has changed. The caller holds the lease of the session."""
    announced = await links.get_link(db, key)
    before, sequence = announced or (Meeting(provider=meeting.provider), 0)
    if meeting == before:
        return
    await links.upsert_link(db, key, meeting, sequence + 1)
    state = MeetingLink.model_validate(
        {
            "id": key.subject,
            "sequence": sequence + 1,
            "session": key.session,
            "provider": key.provider,
            "meeting": meeting,
        }
    )
    await announce(db, MeetingLinkChanged(account_id=key.account_id, state=state), now=now)
