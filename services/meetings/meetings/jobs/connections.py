"""Reconciling a connection that has changed: the desired meetings of its host are refreshed."""

from hoop_platform.reconcile.desired_state import Claimed, Done, Outcome, close_circuit
from hoop_platform.runtime import Runtime
from meetings import handlers
from meetings.config import MeetingsSettings
from meetings.store import sessions, users


async def reconcile_connection(runtime: Runtime[MeetingsSettings], claimed: Claimed) -> Outcome:
    """Refresh the desired meeting of each session of the host that is not over.

    Each session has a transaction of its own, so that no lock is held for long; an attempt that was
    interrupted goes on with the sessions that are still outdated.
    """
    account_id, provider = claimed.desired_state.account_id, claimed.desired_state.provider
    host = claimed.desired_state.desired["host"]
    account = await users.get_host_account(runtime.db, account_id, provider, host)
    if account is not None and account.active and account.external_id is not None:
        async with runtime.db.transaction() as db:
            await close_circuit(db, provider, account.external_id)
    while True:
        account = await users.get_host_account(runtime.db, account_id, provider, host)
        outdated = await sessions.list_outdated(
            runtime.db,
            account_id,
            provider,
            host,
            account_version=account.version if account else None,
            now=runtime.clock.now(),
        )
        if not outdated:
            return Done()
        for key in outdated:
            async with runtime.db.transaction() as db:
                await sessions.lock_sessions(db, [key], shared=False)
                await handlers.refresh_desired(db, key)
