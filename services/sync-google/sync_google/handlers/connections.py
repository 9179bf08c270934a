"""Changes of calendars and connections: which Google calendars are polled, and whom they block."""

from datetime import datetime

from hoop_events.accounts import UserDeleted
from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import invalid
from hoop_platform.ids import is_id
from hoop_platform.providers.provider_accounts import (
    ProviderAccount,
    list_provider_accounts,
    lock_provider_account,
)
from hoop_platform.providers.status import disconnect
from hoop_platform.reconcile.desired_state import DesiredState
from hoop_platform.reconcile.work import close_circuit, desire
from sync_google.domain.busy import blocked_user
from sync_google.domain.identifiers import CONNECTION_KIND
from sync_google.handlers import busy_weeks
from sync_google.store import appointments, calendars, connections, feeds
from sync_google.store.calendars import StoredCalendar


async def on_calendar_changed(db: Tx, event: CalendarChanged, now: datetime) -> None:
    """Store the calendar's members: a connection that names no user blocks the only member."""
    state = event.state
    team = state.settings.get("teamMembers")
    listed = team if isinstance(team, list) else []
    named_ids = (str(member.get("userId")) for member in listed if isinstance(member, dict))
    members = [user_id for user_id in named_ids if is_id(user_id)]
    await connections.lock_against_connecting(db)
    before = await calendars.get_calendar(db, event.account_id, state.id)
    if before and state.settings.get("needsHost"):
        for member in before.members:  # deleted: this event may come before that of the user
            await _end_connections_of(db, event.account_id, member, now)
    await calendars.upsert_calendar(
        db, StoredCalendar(event.account_id, state.id, state.location_id, members)
    )
    for feed in await feeds.lock_feeds_of_calendar(db, event.account_id, state.id):
        named = await connections.get_named_user(db, feed.account_id, feed.connection_id)
        await busy_weeks.change_blocked_user(db, feed, blocked_user(named, members), now=now)


async def on_user_deleted(db: Tx, event: UserDeleted, now: datetime) -> None:
    await connections.lock_against_connecting(db)
    await _end_connections_of(db, event.account_id, event.state.id, now)


async def _end_connections_of(db: Tx, account_id: str, user_id: str, now: datetime) -> None:
    """End the connections of a deleted user: those that name the user, or block the only member.

    Nothing is written into the user's Google calendar any more; what stands there stays.
    """
    for connection_id in await connections.list_connections_of_user(db, account_id, user_id):
        connection = await lock_provider_account(db, account_id, connection_id)
        if connection is not None and connection.status != "disconnected":
            ended = await disconnect(db, connection, now=now, reason="user_deleted")
            await on_connection_changed(db, ended, now)


async def on_calendar_deleted(db: Tx, event: CalendarDeleted, _: datetime) -> None:
    """End the calendar's connection, once its appointments are deleted in Google."""
    account_id, calendar_id = event.account_id, event.state.id
    await calendars.delete_calendar(db, account_id, calendar_id)
    for connection in await list_provider_accounts(
        db, account_id, provider="google", owner_kind="calendar", owner_id=calendar_id
    ):
        await _desire_connection(db, account_id, connection.id, ends=True)


async def on_connection_changed(db: Tx, connection: ProviderAccount, now: datetime) -> None:
    """Follow a connection that was connected, changed or ended in this transaction."""
    if connection.status == "disconnected":
        await _end(db, connection, now)
        return
    await _check_user(db, connection)
    if connection.status == "active":
        await _begin(db, connection)


async def _check_user(db: Tx, connection: ProviderAccount) -> None:
    """Refuse another named user who is not a member of the calendar."""
    named = connection.settings.get("userId")
    before = await feeds.lock_feed(db, connection.account_id, connection.id)
    if named is None or before is None or before.user_id == named:
        return
    calendar = await calendars.get_calendar(db, connection.account_id, connection.owner_id)
    if calendar is None or named not in calendar.members:
        raise invalid("userId", "not_a_member", "must be a member of the calendar")


async def _begin(db: Tx, connection: ProviderAccount) -> None:
    """Have the Google calendar polled, and the appointments ahead written into it, by a job."""
    assert connection.external_id is not None
    await connections.lock_for_connecting(db)
    calendar = await calendars.get_calendar(db, connection.account_id, connection.owner_id)
    members = calendar.members if calendar else ()
    await feeds.upsert_feed(
        db,
        connection.account_id,
        connection.id,
        calendar_id=connection.owner_id,
        remote_calendar=connection.external_id,
        user_id=blocked_user(connection.settings.get("userId"), members),
    )
    await close_circuit(db, "google", connection.external_id)
    await _desire_connection(db, connection.account_id, connection.id, ends=False)


async def _end(db: Tx, connection: ProviderAccount, now: datetime) -> None:
    """Free the busy times and stop polling; the events in Google stay there and are never changed."""
    await appointments.abandon_events(db, connection.account_id, connection.id)
    await busy_weeks.announce_all_free(db, connection.account_id, connection.id, now=now)
    await feeds.delete_feed(db, connection.account_id, connection.id)


async def _desire_connection(db: Tx, account_id: str, connection_id: str, *, ends: bool) -> None:
    """Leave the rest to a job, which works in small transactions. Postgres' clock gives the sequence."""
    now = await connections.get_database_time(db)
    await desire(
        db,
        DesiredState(
            account_id=account_id,
            kind=CONNECTION_KIND,
            subject=connection_id,
            provider="google",
            provider_user=connection_id,
            due_start=now,
            desired={"ends": ends},
            sequence=int(now.timestamp() * 1000),
        ),
    )
