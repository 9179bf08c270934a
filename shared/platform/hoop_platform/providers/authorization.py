"""The OAuth authorization code flow with PKCE (RFC 6749, RFC 7636)."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import ClientError, ClientSession

from hoop_platform.db.database import Database, Tx
from hoop_platform.errors import ConnectFailed
from hoop_platform.providers import credentials, provider_accounts
from hoop_platform.providers.errors import GrantRefused, ProviderDown
from hoop_platform.providers.oauth import Grant, OAuthProvider, exchange
from hoop_platform.providers.provider_accounts import OwnerKind, ProviderAccount
from hoop_platform.providers.status import disconnect, set_status
from hoop_platform.secrets import Cipher, context

_LIFETIME = timedelta(minutes=10)
_LONGEST = 4096


@dataclass(frozen=True)
class Authorization:
    """The URL to send the browser to, and the pending connection."""

    url: str = field(repr=False)
    connection: ProviderAccount


@dataclass(frozen=True)
class Callback:
    """The query of the OAuth callback."""

    state: str | None = field(repr=False)
    code: str | None = field(default=None, repr=False)
    error: str | None = None
    issuer: str | None = None


@dataclass(frozen=True)
class Identity:
    """Who connected: the provider's id of the account, and a label for its owner."""

    external_id: str
    label: str


@dataclass(frozen=True)
class AuthorizationResult:
    """The active connection, and the URL to return its owner to."""

    connection: ProviderAccount
    return_to: str | None


Identify = Callable[[ClientSession, str], Awaitable[Identity]]
"""Requests the owner of an access token from the provider, outside any transaction."""
OnConnected = Callable[[Tx, ProviderAccount, datetime], Awaitable[None]]
"""Further changes in the transaction in which a connection changes."""


@dataclass(frozen=True)
class _PendingAuthorization:
    account_id: str
    connection_id: str
    redirect_uri: str
    return_to: str | None
    verifier: str = field(repr=False)


async def begin_authorization(
    db: Tx,
    cipher: Cipher,
    provider: OAuthProvider,
    *,
    account_id: str,
    owner_kind: OwnerKind,
    owner_id: str,
    redirect_uri: str,
    return_to: str | None = None,
    settings: dict[str, Any] | None = None,
    now: datetime,
) -> Authorization:
    """Create the authorization URL; the connection is `pending` until the callback arrives.

    `return_to` is returned by `finish_authorization`; the caller checks its origin. A connection that
    is active stays active, and its old tokens go on working meanwhile.
    """
    connection = await provider_accounts.upsert_provider_account(
        db,
        account_id=account_id,
        provider=provider.name,
        owner_kind=owner_kind,
        owner_id=owner_id,
        reason="awaiting_authorization",
        settings=settings or {},
        now=now,
    )
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    await db.execute("DELETE FROM oauth_state WHERE expires_at < $1", now)
    await db.execute(
        """
        INSERT INTO oauth_state (state_hash, account_id, connection_id, provider,
                                 sealed_verifier, redirect_uri, return_to, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        _hash(state),
        account_id,
        connection.id,
        provider.name,
        cipher.seal(verifier.encode(), aad=context(account_id, provider.name, connection.id)),
        redirect_uri,
        return_to,
        now + _LIFETIME,
    )
    url = provider.authorization_url(state=state, verifier=verifier, redirect_uri=redirect_uri)
    return Authorization(url, connection)


async def finish_authorization(
    http: ClientSession,
    database: Database,
    cipher: Cipher,
    provider: OAuthProvider,
    callback: Callback,
    *,
    identify: Identify,
    now: datetime,
    then: OnConnected | None = None,
) -> AuthorizationResult:
    """Handle the OAuth callback: activate the connection and announce it.

    The state is used up first, whatever follows. Raises `ConnectFailed` (400) with a sentence for
    the user, and `ProviderDown` without a response; in both cases no token is stored.
    """
    asked = await _use_up(database, cipher, provider, callback, now=now)
    if callback.error is not None or callback.code is None:
        await _declined(database, asked, callback, now=now)
        raise ConnectFailed("The provider was not allowed to connect the account.")
    try:
        grant = await exchange(
            http,
            provider,
            code=callback.code,
            verifier=asked.verifier,
            redirect_uri=asked.redirect_uri,
        )
    except GrantRefused:
        raise ConnectFailed("The provider did not accept the authorization; begin again.") from None
    await _check_scopes(database, provider, asked, grant, now=now)
    identity = await _ask_who(http, provider, grant, identify)
    connection = await _activate(
        database, cipher, provider, asked, grant=grant, identity=identity, now=now, then=then
    )
    return AuthorizationResult(connection, asked.return_to)


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()


async def _use_up(
    database: Database,
    cipher: Cipher,
    provider: OAuthProvider,
    callback: Callback,
    *,
    now: datetime,
) -> _PendingAuthorization:
    """The pending authorization of this state, which is deleted: a state works once."""
    if not callback.state or len(callback.state) > _LONGEST or len(callback.code or "") > _LONGEST:
        raise ConnectFailed("This is not the answer to a question of ours.")
    row = await database.fetchrow(
        "DELETE FROM oauth_state WHERE state_hash = $1 AND provider = $2 RETURNING *",
        _hash(callback.state),
        provider.name,
    )
    if row is None or row["expires_at"] <= now:
        raise ConnectFailed("This link was used already, or is older than ten minutes.")
    if provider.issuer and callback.issuer not in (None, provider.issuer):
        raise ConnectFailed("The answer comes from another provider.")
    aad = context(row["account_id"], provider.name, row["connection_id"])
    verifier = cipher.open(row["sealed_verifier"], aad=aad).decode()
    return _PendingAuthorization(
        account_id=row["account_id"],
        connection_id=row["connection_id"],
        redirect_uri=row["redirect_uri"],
        return_to=row["return_to"],
        verifier=verifier,
    )


async def _declined(
    database: Database, asked: _PendingAuthorization, callback: Callback, *, now: datetime
) -> None:
    """Disconnect a user who declined the first authorization; a later refusal changes nothing."""
    if callback.error != "access_denied":
        return
    async with database.transaction() as db:
        connection = await provider_accounts.lock_provider_account(
            db, asked.account_id, asked.connection_id
        )
        if connection and connection.status == "pending" and connection.external_id is None:
            await disconnect(db, connection, reason="declined", now=now)


async def _check_scopes(
    database: Database,
    provider: OAuthProvider,
    asked: _PendingAuthorization,
    grant: Grant,
    *,
    now: datetime,
) -> None:
    """Refuse a grant without required scopes: without the one to delete, meetings would remain."""
    if grant.scopes is None or provider.needed <= grant.scopes:
        return
    async with database.transaction() as db:
        connection = await provider_accounts.lock_provider_account(
            db, asked.account_id, asked.connection_id
        )
        if connection and connection.status == "pending":
            await set_status(db, connection, status="pending", reason="scope_missing", now=now)
    raise ConnectFailed("Not all permissions were granted; begin again and leave all of them on.")


async def _ask_who(
    http: ClientSession, provider: OAuthProvider, grant: Grant, identify: Identify
) -> Identity:
    try:
        return await identify(http, grant.access_token)
    except (TimeoutError, ClientError, OSError) as error:
        raise ProviderDown(f"{provider.name} does not say who connected") from error


async def _activate(
    database: Database,
    cipher: Cipher,
    provider: OAuthProvider,
    asked: _PendingAuthorization,
    *,
    grant: Grant,
    identity: Identity,
    now: datetime,
    then: OnConnected | None,
) -> ProviderAccount:
    owner = {"account_id": asked.account_id, "provider_user": identity.external_id}
    async with database.transaction() as db:
        connection = await provider_accounts.lock_provider_account(
            db, asked.account_id, asked.connection_id
        )
        refusal = _refusal(connection, identity)
        if refusal is None or await credentials.has_credential(db, provider=provider.name, **owner):
            # Also when refused: others may use this account, and its older tokens may be void now.
            kept = await credentials.upsert_credential(
                db, cipher, provider, grant, now=now, **owner
            )
            refusal = refusal or (_NOT_LASTING if kept is None else None)
        if connection is not None and refusal is None:
            connection = await _connected(db, connection, identity, kept, now=now)
            if then is not None:
                await then(db, connection, now)
            return connection
    raise ConnectFailed(refusal)


def _refusal(connection: ProviderAccount | None, identity: Identity) -> str | None:
    """Refuse another account of the provider for an owner who has one connected."""
    if connection is None or connection.status == "disconnected":
        return "The connection was ended meanwhile; begin again."
    if connection.external_id not in (None, identity.external_id):
        return f"This is connected to {connection.label}. Sign in there, or disconnect it first."
    return None


_NOT_LASTING = "The provider gave no lasting permission. Remove our app in your account there, then begin again."


async def _connected(
    db: Tx,
    connection: ProviderAccount,
    identity: Identity,
    credential_id: str | None,
    *,
    now: datetime,
) -> ProviderAccount:
    return await provider_accounts.update_provider_account(
        db,
        connection,
        status="active",
        reason=None,
        label=identity.label,
        external_id=identity.external_id,
        credential_id=credential_id,
        connected_at=now,
        now=now,
    )
