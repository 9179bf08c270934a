"""Works on desired connections: polls and fills a new one, ends that of a deleted calendar."""

from datetime import UTC, datetime, timedelta

from hoop_platform.db.database import Tx
from hoop_platform.providers.provider_accounts import lock_provider_account
from hoop_platform.providers.status import disconnect
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Done, Later, Outcome
from hoop_platform.reconcile.work import desire
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.domain.identifiers import FEED_KIND
from sync_google.handlers.appointments import desired_event
from sync_google.handlers.connections import on_connection_changed
from sync_google.store import appointments, connections

GRACE = timedelta(seconds=60)
"""After this time the deletions of a deleted calendar's appointments have been consumed."""
FIRST_ID = "0" * 26
AFTER_ALL_PUSHES = datetime(9999, 1, 1, tzinfo=UTC)


async def reconcile_connection(runtime: Runtime[Settings], claimed: Claimed) -> Outcome:
    """Poll and fill the connection's Google calendar, or end the connection."""
    if claimed.desired_state.desired["ends"]:
        return await _end(runtime, claimed)
    async with runtime.db.transaction() as db:
        await _poll(db, claimed.desired_state)
    await _fill(runtime, claimed)
    return Done()


async def _poll(db: Tx, connection: DesiredState) -> None:
    """Desire that the Google calendar is listed, at once.

    The lane is not that of the Google user: neither do pushes wait for a long list, nor a list for
    many pushes, nor for a quota that stops writes alone. When places are scarce, pushes come first.
    """
    await desire(
        db,
        DesiredState(
            account_id=connection.account_id,
            kind=FEED_KIND,
            subject=connection.subject,
            provider="google",
            provider_user=connection.subject,
            due_start=AFTER_ALL_PUSHES,
            desired={},
            sequence=connection.sequence,
            connection_id=connection.subject,
        ),
    )


async def _fill(runtime: Runtime[Settings], claimed: Claimed) -> None:
    """Desire an event for each appointment ahead, in small transactions; what is desired already stays.

    No appointment event is handled during one of them: it could be newer than the page.
    """
    account_id, connection_id = claimed.desired_state.account_id, claimed.desired_state.subject
    after = (runtime.clock.now(), FIRST_ID)
    while True:
        async with runtime.db.transaction() as db:
            await connections.lock_for_connecting(db)
            calendar = await connections.get_connected_calendar(db, account_id, connection_id)
            if calendar is None:
                return
            page = await appointments.list_appointments_after(
                db, account_id, calendar.calendar_id, after=after
            )
            if not page:
                return
            await appointments.adopt_events(db, calendar, page)
            shown = await appointments.claim_first_ids(db, calendar, page)
            await desire(db, *map(desired_event, page, shown))
        after = (page[-1].ends_at, page[-1].id)


async def _end(runtime: Runtime[Settings], claimed: Claimed) -> Outcome:
    """Disconnect once no event is left to be deleted in Google."""
    db, state = runtime.db, claimed.desired_state
    connection_id = state.subject
    now = await connections.get_database_time(db)
    if now < state.due_start + GRACE or await connections.has_open_work(db, connection_id):
        return Later("appointments are still being deleted", wait=GRACE / 4)
    async with db.transaction() as tx:
        connection = await lock_provider_account(tx, state.account_id, connection_id)
        if connection is not None and connection.status != "disconnected":
            at = runtime.clock.now()
            ended = await disconnect(tx, connection, now=at, reason="calendar_deleted")
            await on_connection_changed(tx, ended, at)
    return Done()
