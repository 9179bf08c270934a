"""Changes of a connection's status: disconnected, pending, degraded, synced."""

from datetime import datetime

from hoop_platform.db.database import Tx
from hoop_platform.providers import credentials, provider_accounts
from hoop_platform.providers.provider_accounts import ProviderAccount, Status
from hoop_platform.providers.revocation import desire_revocation


async def disconnect(
    db: Tx, connection: ProviderAccount, *, now: datetime, reason: str | None = None
) -> ProviderAccount:
    """Disconnect a locked connection for good; from the commit on its tokens serve one call at most.

    `label` and `external_id` stay. After the commit the grant is revoked at the provider, unless another
    connection uses it, and the tokens are deleted (`revocation.py`).
    """
    if connection.status == "disconnected":
        return connection
    await db.execute(
        "DELETE FROM oauth_state WHERE account_id = $1 AND connection_id = $2",
        connection.account_id,
        connection.id,
    )
    after = await provider_accounts.update_provider_account(
        db, connection, status="disconnected", reason=reason, credential_id=None, now=now
    )
    if connection.credential_id is not None:
        await desire_revocation(db, connection, now=now)
    return after


async def set_status(
    db: Tx, connection: ProviderAccount, *, status: Status, reason: str | None, now: datetime
) -> ProviderAccount:
    """Set the status of a locked connection, and announce it if it changed.

    `pending` deletes the tokens: only connecting again makes it active. `active` changes the reason
    of an active one (`None`: nothing is wrong any more) and raises `ValueError` for any other.
    """
    if status == "active":
        if connection.status != "active":
            raise ValueError("only finishing an authorization makes a connection active")
        return await provider_accounts.update_provider_account(
            db, connection, reason=reason, now=now
        )
    if status == "disconnected":
        return await disconnect(db, connection, reason=reason, now=now)
    return await _release_credential(db, connection, status=status, reason=reason, now=now)


async def suspend_account(
    db: Tx, account_id: str, connection_id: str, *, reason: str, now: datetime
) -> None:
    """Set an active connection to `pending`: the provider refuses access until its owner reconnects.

    The external objects stay as they are.
    """
    connection = await provider_accounts.lock_provider_account(db, account_id, connection_id)
    if connection is not None and connection.status == "active":
        await set_status(db, connection, status="pending", reason=reason, now=now)


async def record_sync(db: Tx, connection: ProviderAccount, *, now: datetime) -> ProviderAccount:
    """Set the time of the last sync of a locked connection, and announce it."""
    return await provider_accounts.update_provider_account(
        db, connection, last_sync_at=now, now=now
    )


async def _release_credential(
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
