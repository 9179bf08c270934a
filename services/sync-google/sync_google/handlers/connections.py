"""What a calendar or a connection that comes, changes or goes does to what we look at."""

from datetime import datetime

from hoop_events.calendars import CalendarChanged, CalendarDeleted
from hoop_platform.db.database import Tx
from hoop_platform.errors import invalid
from hoop_platform.ids import is_id
from hoop_platform.providers.provider_accounts import ProviderAccount as Connected
from hoop_platform.providers.provider_accounts import list_provider_accounts
from hoop_platform.reconcile.desired_state import DesiredState, close_circuit, desire
from sync_google import store
from sync_google.domain import blocked_user
from sync_google.handlers import weeks

CONNECTION = "google-connection"


async def follow_calendar(db: Tx, event: CalendarChanged, _: datetime) -> None:
    """Remember who its members are: a connection without a named user blocks the only one."""
    state = event.state
    members = state.settings.get("teamMembers")
    listed = members if isinstance(members, list) else []
    named_ids = (str(member.get("userId")) for member in listed if isinstance(member, dict))
    ids = [user_id for user_id in named_ids if is_id(user_id)]
    await store.hold_off_connecting(db)
    await store.keep_calendar(
        db, store.Calendar(event.account_id, state.id, state.location_id, ids)
    )
    now = await store.transaction_time(db)
    for feed in await store.feeds_of_calendar(db, event.account_id, state.id):
        named = await store.named_user(db, feed.account_id, feed.connection_id)
        await weeks.block(db, feed, blocked_user(named, ids), now=now)


async def forget_calendar(db: Tx, event: CalendarDeleted, _: datetime) -> None:
    """Its connection ends, as soon as its appointments are gone from Google."""
    account_id, calendar_id = event.account_id, event.state.id
    await store.drop_calendar(db, account_id, calendar_id)
    for connection in await list_provider_accounts(
        db, account_id, provider="google", owner_kind="calendar", owner_id=calendar_id
    ):
        await _wish(db, account_id, connection.id, ends=True)


async def follow_connection(db: Tx, connection: Connected, now: datetime) -> None:
    """A connection was made, changed or ended, in this transaction."""
    if connection.status == "disconnected":
        await _end(db, connection, now)
        return
    await _check_user(db, connection)
    if connection.status == "active":
        await _begin(db, connection)


async def _check_user(db: Tx, connection: Connected) -> None:
    """Another user may be named later, if he is a member of the calendar."""
    named = connection.settings.get("userId")
    before = await store.feed(db, connection.account_id, connection.id)
    if named is None or before is None or before.user_id == named:
        return
    calendar = await store.calendar(db, connection.account_id, connection.owner_id)
    if calendar is None or named not in calendar.members:
        raise invalid("userId", "not_a_member", "must be a member of the calendar")


async def _begin(db: Tx, connection: Connected) -> None:
    """Look at it at once, and write into it what is ahead."""
    assert connection.external_id is not None
    await store.wait_for_events(db)
    calendar = await store.calendar(db, connection.account_id, connection.owner_id)
    members = calendar.members if calendar else ()
    await store.keep_feed(
        db,
        connection.account_id,
        connection.id,
        calendar_id=connection.owner_id,
        remote_calendar=connection.external_id,
        user_id=blocked_user(connection.settings.get("userId"), members),
    )
    await close_circuit(db, "google", connection.external_id)
    await _wish(db, connection.account_id, connection.id, ends=False)


async def _end(db: Tx, connection: Connected, now: datetime) -> None:
    """From this transaction on nothing of it is asked or touched: what is in Google stays there."""
    await store.abandon(db, connection.account_id, connection.id)
    await weeks.free_all(db, connection.account_id, connection.id, now=now)
    await store.drop_feed(db, connection.account_id, connection.id)


async def _wish(db: Tx, account_id: str, connection_id: str, *, ends: bool) -> None:
    """Have the rest done by a job, in small transactions. The database's clock tells which is newer."""
    now = await store.transaction_time(db)
    await desire(
        db,
        DesiredState(
            account_id=account_id,
            kind=CONNECTION,
            subject=connection_id,
            provider="google",
            provider_user=connection_id,
            due_start=now,
            desired={"ends": ends},
            sequence=int(now.timestamp() * 1000),
        ),
    )
