"""What becomes of a connection after it was made: disconnected, waiting, degraded, synced."""

from datetime import datetime

from hoop_platform.db.database import Tx
from hoop_platform.providers import credentials, provider_accounts
from hoop_platform.providers.provider_accounts import ProviderAccount, Status


async def disconnect(
    db: Tx, connection: ProviderAccount, *, now: datetime, reason: str | None = None
) -> ProviderAccount:
    """End a locked connection: its tokens are dropped with this transaction, its id is history.

    The account shown (`label`, `external_id`) stays. Whether to call the provider's revocation
    afterwards is the caller's choice: Zoom's guide promises no call at all after disconnecting.
    """
    if connection.status == "disconnected":
        return connection
    await db.execute(
        "DELETE FROM oauth_state WHERE account_id = $1 AND connection_id = $2",
        connection.account_id,
        connection.id,
    )
    return await _let_go(db, connection, status="disconnected", reason=reason, now=now)


async def set_status(
    db: Tx, connection: ProviderAccount, *, status: Status, reason: str | None, now: datetime
) -> ProviderAccount:
    """Say how a locked connection is, and announce it if that is new.

    `pending` drops the tokens: only connecting again makes it active. `active` changes the reason
    of one that is active (`None`: all is well again) and is refused for any other.
    """
    if status == "active":
        if connection.status != "active":
            raise ValueError("only finishing an authorization makes a connection active")
        return await provider_accounts.update_provider_account(
            db, connection, reason=reason, now=now
        )
    if status == "disconnected":
        return await disconnect(db, connection, reason=reason, now=now)
    return await _let_go(db, connection, status=status, reason=reason, now=now)


async def record_sync(db: Tx, connection: ProviderAccount, *, now: datetime) -> ProviderAccount:
    """Note that a locked connection was synchronised just now, and announce it."""
    return await provider_accounts.update_provider_account(
        db, connection, last_sync_at=now, now=now
    )


async def _let_go(
    db: Tx, connection: ProviderAccount, *, status: Status, reason: str | None, now: datetime
) -> ProviderAccount:
    after = await provider_accounts.update_provider_account(
        db, connection, status=status, reason=reason, credential_id=None, now=now
    )
    if connection.credential_id is not None:
        await credentials.delete_unused_credential(
            db, connection.account_id, connection.credential_id
        )
    return after
