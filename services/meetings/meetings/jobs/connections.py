"""Reconciling a connection that has changed: the desired meetings of its host are refreshed."""

from hoop_platform.providers.provider_accounts import ProviderAccount, list_provider_accounts
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.outcome import Done, Outcome
from hoop_platform.reconcile.work import close_circuit
from hoop_platform.runtime import Runtime
from meetings import handlers
from meetings.config import MeetingsSettings
from meetings.domain.sessions import account_version
from meetings.store import sessions


async def reconcile_connection(runtime: Runtime[MeetingsSettings], claimed: Claimed) -> Outcome:
    """Refresh the desired meeting of each session of the host that is not over.

    Each session has a transaction of its own, so that no lock is held for long; an attempt that was
    interrupted goes on with the sessions that are still outdated.
    """
    account_id, provider = claimed.desired_state.account_id, claimed.desired_state.provider
    host = claimed.desired_state.desired["host"]
    account = await _get_host_account(runtime, account_id, provider, host)
    if account is not None and account.status == "active" and account.external_id is not None:
        async with runtime.db.transaction() as db:
            await close_circuit(db, provider, account.external_id)
    while True:
        account = await _get_host_account(runtime, account_id, provider, host)
        outdated = await sessions.list_outdated(
            runtime.db,
            account_id,
            provider,
            host,
            account_version=account_version(account.id, account.sequence) if account else None,
            now=runtime.clock.now(),
        )
        if not outdated:
            return Done()
        for key in outdated:
            async with runtime.db.transaction() as db:
                await handlers.refresh_desired(db, key)


async def _get_host_account(
    runtime: Runtime[MeetingsSettings], account_id: str, provider: str, host: str
) -> ProviderAccount | None:
    """The host's provider account that is not disconnected."""
    accounts = await list_provider_accounts(
        runtime.db, account_id, provider=provider, owner_kind="user", owner_id=host
    )
    return next(iter(accounts), None)
