"""What becomes of a connection after it was made: disconnected, waiting, degraded, synced."""

from datetime import datetime

from shared.connections import credentials, store
from shared.connections.store import Connection, Status
from shared.db import Connection as Db


async def disconnect(
    db: Db, connection: Connection, *, now: datetime, reason: str | None = None
) -> Connection:
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


async def mark(
    db: Db, connection: Connection, *, status: Status, reason: str | None, now: datetime
) -> Connection:
    """Say how a locked connection is, and announce it if that is new.

    `pending` drops the tokens: only connecting again makes it active. `active` changes the reason
    of one that is active (`None`: all is well again) and is refused for any other.
    """
    if status == "active":
        if connection.status != "active":
            raise ValueError("only finishing an authorization makes a connection active")
        return await store.save(db, connection, reason=reason, now=now)
    if status == "disconnected":
        return await disconnect(db, connection, reason=reason, now=now)
    return await _let_go(db, connection, status=status, reason=reason, now=now)


async def synced(db: Db, connection: Connection, *, now: datetime) -> Connection:
    """Note that a locked connection was synchronised just now, and announce it."""
    return await store.save(db, connection, last_sync_at=now, now=now)


async def _let_go(
    db: Db, connection: Connection, *, status: Status, reason: str | None, now: datetime
) -> Connection:
    after = await store.save(
        db, connection, status=status, reason=reason, credential_id=None, now=now
    )
    if connection.credential_id is not None:
        await credentials.drop_unused(db, connection.account_id, connection.credential_id)
    return after
