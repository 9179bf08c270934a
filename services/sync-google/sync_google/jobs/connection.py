"""After a connection became active: its calendar's appointments ahead; after its calendar went: its end."""

from datetime import timedelta

from hoop_platform.providers.provider_accounts import lock_provider_account
from hoop_platform.providers.status import disconnect
from hoop_platform.reconcile.desired_state import Claimed, Done, Later, Outcome
from hoop_platform.runtime import Runtime
from sync_google import handlers, store

GRACE = timedelta(seconds=60)
"""So long after its calendar was deleted, the deletions of its appointments have been heard of."""
FIRST_ID = "0" * 26


async def follow(runtime: Runtime, mine: Claimed) -> Outcome:
    """Do what a changed connection asks for."""
    if mine.desired_state.desired["ends"]:
        return await _end(runtime, mine)
    await _fill(runtime, mine)
    return Done()


async def _fill(runtime: Runtime, mine: Claimed) -> None:
    """Wish for each appointment ahead, in small transactions; wishes that exist stay as they are."""
    wish, after = mine.desired_state, (runtime.clock.now(), FIRST_ID)
    while True:
        async with runtime.db.transaction() as db:
            target = await store.target(db, wish.account_id, wish.subject)
            if target is None:
                return
            known = await store.ahead(db, wish.account_id, target.calendar_id, after=after)
            for appointment in known:
                await handlers.wish(db, appointment, target)
        if not known:
            return
        after = (known[-1].ends_at, known[-1].id)


async def _end(runtime: Runtime, mine: Claimed) -> Outcome:
    """Disconnect, once nothing is left to be deleted in Google."""
    db, wish = runtime.db, mine.desired_state
    now = await store.database_time(db)
    if now < wish.due_start + GRACE or await store.open_pushes(db, wish.subject):
        return Later("appointments are still being deleted", at=now + GRACE / 4)
    async with db.transaction() as tx:
        connection = await lock_provider_account(tx, wish.account_id, wish.subject)
        if connection is not None and connection.status != "disconnected":
            at = runtime.clock.now()
            ended = await disconnect(tx, connection, now=at, reason="calendar_deleted")
            await handlers.follow_connection(tx, ended, at)
    return Done()
