"""The table of provider accounts (*connections* in the API); every change is announced with it."""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal

from hoop_events import effects
from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.ids import new_id
from hoop_platform.outbox.announce import announce

OwnerKind = Literal["user", "calendar"]
Status = Literal["pending", "active", "disconnected"]


@dataclass(frozen=True)
class ProviderAccount:
    """An account at a provider, connected to a user or a calendar of ours."""

    account_id: str
    id: str
    provider: str
    owner_kind: OwnerKind
    owner_id: str
    status: Status
    reason: str | None
    """Why it is not plainly active: a slug such as `reconnect_needed`, `waiting_for_admin`."""
    label: str | None
    """The provider's account as its owner knows it, usually an e-mail address."""
    external_id: str | None
    """The provider's own id of the account."""
    credential_id: str | None
    settings: dict[str, Any]
    sequence: int
    connected_at: datetime | None
    last_sync_at: datetime | None
    created_at: datetime
    updated_at: datetime


def _connection(row: Row) -> ProviderAccount:
    return ProviderAccount(**{column.name: row[column.name] for column in fields(ProviderAccount)})


async def lock_provider_account(
    db: Tx, account_id: str, connection_id: str
) -> ProviderAccount | None:
    """The provider account, locked; None for an unknown id and for one of another account alike."""
    row = await db.fetchrow(
        "SELECT * FROM provider_account WHERE account_id = $1 AND id = $2 FOR UPDATE",
        account_id,
        connection_id,
    )
    return _connection(row) if row else None


async def list_provider_accounts(
    db: Tx | Database,
    account_id: str,
    *,
    provider: str | None = None,
    owner_kind: OwnerKind | None = None,
    owner_id: str | None = None,
    live: bool = True,
) -> list[ProviderAccount]:
    """The account's connections, oldest first; `live` leaves out the disconnected ones."""
    rows = await db.fetch(
        """
        SELECT * FROM provider_account
         WHERE account_id = $1
           AND ($2::text IS NULL OR provider = $2)
           AND ($3::text IS NULL OR owner_kind = $3)
           AND ($4::uuid IS NULL OR owner_id = $4)
           AND (status <> 'disconnected' OR NOT $5)
         ORDER BY id
        """,
        account_id,
        provider,
        owner_kind,
        owner_id,
        live,
    )
    return [_connection(row) for row in rows]


async def lock_provider_accounts_at(
    db: Tx, provider: str, external_id: str
) -> list[ProviderAccount]:
    """The live connections to one account of the provider, locked, whichever account of ours.

    The only query without an account: a provider's signed webhook has only ids of its own.
    """
    rows = await db.fetch(
        """
        SELECT * FROM provider_account
         WHERE provider = $1 AND external_id = $2 AND status <> 'disconnected'
         ORDER BY id FOR UPDATE
        """,
        provider,
        external_id,
    )
    return [_connection(row) for row in rows]


async def lock_provider_accounts_of(
    db: Tx, account_id: str, credential_id: str
) -> list[ProviderAccount]:
    """The connections that use one credential, locked in the order of their ids."""
    rows = await db.fetch(
        """
        SELECT * FROM provider_account WHERE account_id = $1 AND credential_id = $2
         ORDER BY id FOR UPDATE
        """,
        account_id,
        credential_id,
    )
    return [_connection(row) for row in rows]


async def upsert_provider_account(
    db: Tx,
    *,
    account_id: str,
    provider: str,
    owner_kind: OwnerKind,
    owner_id: str,
    reason: str,
    settings: dict[str, Any],
    now: datetime,
) -> ProviderAccount:
    """The owner's live connection, locked; if there is none, a new one, pending for `reason`.

    A new and a pending one get the settings; an active one keeps its own.
    """
    owner = (account_id, provider, owner_kind, owner_id)
    inserted = await db.fetchval(
        """
        INSERT INTO provider_account (account_id, provider, owner_kind, owner_id, id, status, reason, settings,
                                created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $8)
        ON CONFLICT (account_id, provider, owner_kind, owner_id) WHERE status <> 'disconnected'
        DO NOTHING RETURNING true
        """,
        *owner,
        new_id(),
        reason,
        settings,
        now,
    )
    row = await db.fetchrow(
        """
        SELECT * FROM provider_account
         WHERE account_id = $1 AND provider = $2 AND owner_kind = $3 AND owner_id = $4
           AND status <> 'disconnected' FOR UPDATE
        """,
        *owner,
    )
    assert row is not None
    connection = _connection(row)
    if inserted:
        await announce(db, connection_changed(connection), now=now)
    elif connection.status == "pending":
        return await update_provider_account(
            db, connection, settings={**connection.settings, **settings}, now=now
        )
    return connection


async def update_provider_account(
    db: Tx, connection: ProviderAccount, *, now: datetime, **changes: Any
) -> ProviderAccount:
    """Update a locked provider account and announce it; without a change nothing happens."""
    after = replace(connection, **changes)
    if after == connection:
        return connection
    after = replace(after, sequence=connection.sequence + 1, updated_at=now)
    await db.execute(
        """
        UPDATE provider_account
           SET status = $3, reason = $4, label = $5, external_id = $6, credential_id = $7,
               settings = $8, sequence = $9, connected_at = $10, last_sync_at = $11,
               updated_at = $12
         WHERE account_id = $1 AND id = $2
        """,
        after.account_id,
        after.id,
        after.status,
        after.reason,
        after.label,
        after.external_id,
        after.credential_id,
        after.settings,
        after.sequence,
        after.connected_at,
        after.last_sync_at,
        now,
    )
    await announce(db, connection_changed(after), now=now)
    return after


def connection_changed(connection: ProviderAccount) -> effects.ConnectionChanged:
    """The event of a provider account, without tokens and settings."""
    state = effects.Connection(
        id=connection.id,
        sequence=connection.sequence,
        provider=connection.provider,
        owner_kind=connection.owner_kind,
        owner_id=connection.owner_id,
        status=connection.status,
        reason=connection.reason,
        label=connection.label,
        last_sync_at=connection.last_sync_at,
        connected_at=connection.connected_at,
    )
    return effects.ConnectionChanged(account_id=connection.account_id, state=state)
