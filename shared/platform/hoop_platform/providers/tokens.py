"""A valid access token, now: refreshed when it must be, by one process, once."""

import asyncio
import hmac
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from aiohttp import ClientSession

from hoop_platform.db.database import Database
from hoop_platform.failpoints import fp
from hoop_platform.providers import credentials, provider_accounts
from hoop_platform.providers.credentials import StoredCredential
from hoop_platform.providers.errors import GrantRefused, NotConnected, ProviderDown
from hoop_platform.providers.oauth import OAuthProvider, refresh
from hoop_platform.providers.status import set_status
from hoop_platform.secrets import Cipher

_T = TypeVar("_T")
_POLL_SECONDS = 0.05
_PAUSE = timedelta(seconds=2)


async def access_token(
    database: Database,
    http: ClientSession,
    cipher: Cipher,
    provider: OAuthProvider,
    *,
    account_id: str,
    connection_id: str,
    now: datetime,
    rejected: str | None = None,
) -> str:
    """A token to call the provider with; `rejected` is one that it has just answered 401 to.

    However many tasks and processes ask at its end, one of them refreshes it, and the others wait.
    No transaction is open meanwhile. Raises `NotConnected` when there is no token or the provider
    has ended the grant (the connection then waits for its owner, announced), and `ProviderDown`
    when it cannot be known now.
    """
    patience = asyncio.get_running_loop().time() + 1.5 * provider.timeout
    while True:
        held = await credentials.get_credential(database, account_id, connection_id)
        if held is None:
            raise NotConnected(connection_id)
        access = held.open(cipher).access
        if held.fresh_until > now and not _same(access, rejected):
            return access
        if held.resting:
            raise ProviderDown(f"{provider.name} has just failed to refresh a token")
        lease = await credentials.lease_credential(database, held, length=_lease(provider))
        if lease is not None:
            attempt = _Attempt(database, http, cipher, provider, held, lease, now)
            if (token := await _even_if_cancelled(attempt.refresh())) is not None:
                return token
        elif asyncio.get_running_loop().time() > patience:
            raise ProviderDown(f"another process is still asking {provider.name}")
        else:
            await asyncio.sleep(_POLL_SECONDS)


def _same(token: str, rejected: str | None) -> bool:
    return rejected is not None and hmac.compare_digest(token.encode(), rejected.encode())


def _lease(provider: OAuthProvider) -> timedelta:
    """Longer than any refresh may take, so that it only runs out when its holder has died."""
    return timedelta(seconds=3 * provider.timeout)


@dataclass(frozen=True)
class _Attempt:
    """One refresh of one generation of a credential, by whoever holds its lease."""

    database: Database
    http: ClientSession
    cipher: Cipher
    provider: OAuthProvider
    held: StoredCredential
    lease: str
    now: datetime

    async def refresh(self) -> str | None:
        """Ask the provider and save what it says; None when the row has to be read again.

        Between its answer and our commit lies a gap that cannot be closed: whoever dies in it loses
        the rotated token, the next refresh is refused, and the owner has to connect again.
        """
        tokens = self.held.open(self.cipher)
        try:
            grant = await refresh(self.http, self.provider, refresh_token=tokens.refresh)
        except GrantRefused as refusal:
            await self._give_up(refusal.reason)
            return None
        except ProviderDown as down:
            pause = down.retry_after or _PAUSE
            await credentials.postpone_refresh(self.database, self.held, self.lease, pause=pause)
            raise
        await fp("token_rotated")
        saved = await credentials.update_tokens(
            self.database, self.cipher, self.held, grant, now=self.now
        )
        await fp("token_saved")
        return grant.access_token if saved else None

    async def _give_up(self, reason: str) -> None:
        """The owners have to connect again; unless the refusal was another process's success."""
        async with self.database.transaction() as db:
            sharing = await provider_accounts.lock_provider_accounts_of(
                db, self.held.account_id, self.held.id
            )
            if await credentials.is_leased(db, self.held, self.lease):
                for connection in sharing:
                    await set_status(db, connection, status="pending", reason=reason, now=self.now)


async def _even_if_cancelled(deed: Coroutine[None, None, _T]) -> _T:
    """Let it come to its end; a cancellation meanwhile is heeded after it.

    A process that is told to stop must not throw away a token that the provider has just rotated.
    The deed ends in time by itself: every step of it has a timeout.
    """
    task = asyncio.get_running_loop().create_task(deed)  # a TaskGroup would cancel it with us
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def refresh_idle(
    database: Database,
    http: ClientSession,
    cipher: Cipher,
    provider: OAuthProvider,
    *,
    now: datetime,
    idle: timedelta = timedelta(days=6),
) -> int:
    """Refresh one grant that nobody has used for long; answers how many there were (0 or 1).

    Refresh tokens that rest too long die at some providers (Zoom does not say after how long).
    """
    row = await database.fetchrow(
        """
        SELECT c.account_id, c.id
          FROM provider_account c
          JOIN credential k ON k.account_id = c.account_id AND k.id = c.credential_id
         WHERE k.provider = $1 AND k.fresh_until < $2
           AND coalesce(k.resting_until <= clock_timestamp(), true)
         ORDER BY k.fresh_until LIMIT 1
        """,
        provider.name,
        now - idle,
    )
    if row is None:
        return 0
    await access_token(
        database,
        http,
        cipher,
        provider,
        account_id=row["account_id"],
        connection_id=row["id"],
        now=now,
    )
    return 1
