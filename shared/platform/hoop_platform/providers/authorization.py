"""The OAuth authorization code flow with PKCE (RFC 6749, RFC 7636)."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NoReturn

from aiohttp import ClientError, ClientSession

from hoop_platform.db.database import Database, Tx
from hoop_platform.errors import ConnectFailed
from hoop_platform.providers import credentials, provider_accounts
from hoop_platform.providers.errors import GrantRefused, ProviderDown
from hoop_platform.providers.id_tokens import Identity, IdTokenRefused
from hoop_platform.providers.oauth import Grant, OAuthProvider, exchange, identity_from_id_token
from hoop_platform.providers.provider_accounts import OwnerKind, ProviderAccount
from hoop_platform.providers.status import disconnect, set_status
from hoop_platform.secrets import Cipher, context
from hoop_platform.telemetry import log
from hoop_platform.timing import insist

_LIFETIME = timedelta(minutes=10)
_MAX_PARAMETER = 4096


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
    external_id: str | None
    """Of the connection, if it was active before."""
    verifier: str = field(repr=False)

    async def lock_account(self, db: Tx) -> ProviderAccount | None:
        return await provider_accounts.lock_provider_account(
            db, self.account_id, self.connection_id
        )


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
    pending = await _consume_state(database, cipher, provider, callback, now=now)
    if callback.error is not None or callback.code is None:
        await _end_declined(database, pending, callback, now=now)
        raise ConnectFailed("The provider was not allowed to connect the account.")
    try:
        grant = await exchange(
            http,
            provider,
            code=callback.code,
            verifier=pending.verifier,
            redirect_uri=pending.redirect_uri,
        )
    except GrantRefused:
        raise ConnectFailed("The provider did not accept the authorization; begin again.") from None
    if grant.scopes is not None and not provider.needed <= grant.scopes:
        await _refuse_scopes(database, pending, now=now)
    identity = await _request_identity(http, provider, pending, grant, identify, now=now)
    activate = partial(_activate, database, cipher, provider, pending, now=now, then=then)
    connection = await insist(
        partial(activate, grant=grant, identity=identity), within=10.0, what="a new grant"
    )
    return AuthorizationResult(connection, pending.return_to)


def _hash(state: str) -> bytes:
    return hashlib.sha256(state.encode()).digest()


async def _consume_state(
    database: Database,
    cipher: Cipher,
    provider: OAuthProvider,
    callback: Callback,
    *,
    now: datetime,
) -> _PendingAuthorization:
    """The pending authorization of this state, which is deleted: a state works once."""
    if (
        not callback.state
        or len(callback.state) > _MAX_PARAMETER
        or len(callback.code or "") > _MAX_PARAMETER
    ):
        raise ConnectFailed("This callback belongs to no authorization that we began.")
    row = await database.fetchrow(
        """
        DELETE FROM oauth_state s WHERE state_hash = $1 AND provider = $2
        RETURNING *, (SELECT external_id FROM provider_account a
                       WHERE a.account_id = s.account_id AND a.id = s.connection_id) AS external_id
        """,
        _hash(callback.state),
        provider.name,
    )
    if row is None or row["expires_at"] <= now:
        raise ConnectFailed("This link was used already, or is older than ten minutes.")
    if provider.issuer and callback.issuer not in (None, provider.issuer):
        raise ConnectFailed("This callback comes from another provider.")
    aad = context(row["account_id"], provider.name, row["connection_id"])
    verifier = cipher.open(row["sealed_verifier"], aad=aad).decode()
    kept = ("account_id", "connection_id", "redirect_uri", "return_to", "external_id")
    return _PendingAuthorization(**{name: row[name] for name in kept}, verifier=verifier)


async def _end_declined(
    database: Database, pending: _PendingAuthorization, callback: Callback, *, now: datetime
) -> None:
    """Disconnect a user who declined the first authorization; a later refusal changes nothing."""
    if callback.error != "access_denied":
        return
    async with database.transaction() as db:
        connection = await pending.lock_account(db)
        if connection and connection.status == "pending" and connection.external_id is None:
            await disconnect(db, connection, reason="declined", now=now)


async def _refuse_scopes(
    database: Database, pending: _PendingAuthorization, *, now: datetime
) -> NoReturn:
    """A required scope is missing: without the one to delete, meetings would remain."""
    async with database.transaction() as db:
        connection = await pending.lock_account(db)
        if connection and connection.status == "pending":
            await set_status(db, connection, status="pending", reason="scope_missing", now=now)
    raise ConnectFailed("Not all permissions were granted; begin again and leave all of them on.")


async def _request_identity(
    http: ClientSession,
    provider: OAuthProvider,
    pending: _PendingAuthorization,
    grant: Grant,
    identify: Identify,
    *,
    now: datetime,
) -> Identity:
    """Whom the ID token names; without one that suffices, or if another was connected: `identify`."""
    try:
        named = await identity_from_id_token(
            http, provider, grant, verifier=pending.verifier, now=now
        )
        if named is not None and pending.external_id in (None, named.external_id):
            return named
        return await identify(http, grant.access_token)
    except IdTokenRefused as refused:
        log.warning("id token refused", provider=provider.name, reason=str(refused))
        raise ConnectFailed("The provider did not prove who connected; begin again.") from None
    except (TimeoutError, ClientError, OSError) as error:
        raise ProviderDown(f"{provider.name} does not name the user of a token") from error


async def _activate(
    database: Database,
    cipher: Cipher,
    provider: OAuthProvider,
    pending: _PendingAuthorization,
    *,
    grant: Grant,
    identity: Identity,
    now: datetime,
    then: OnConnected | None,
) -> ProviderAccount:
    owner = {"account_id": pending.account_id, "provider_user": identity.external_id}
    async with database.transaction() as db:
        connection = await pending.lock_account(db)
        refusal = _refusal(connection, identity)
        if refusal is None or await credentials.has_credential(db, provider=provider.name, **owner):
            # Also when refused: others may use this account, and its older tokens may be void now.
            kept = await credentials.upsert_credential(
                db, cipher, provider, grant, now=now, **owner
            )
            refusal = refusal or (_NOTHING_LASTING if kept is None else None)
        if connection is not None and refusal is None:
            connection = await provider_accounts.update_provider_account(
                db,
                connection,
                status="active",
                reason=None,
                label=identity.label,
                external_id=identity.external_id,
                credential_id=kept,
                connected_at=now,
                now=now,
            )
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


_NOTHING_LASTING = "The provider gave no lasting permission. Remove our app in your account there, then begin again."
