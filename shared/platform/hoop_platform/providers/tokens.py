"""Access tokens: refreshed before they expire, by one process at a time."""

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
from hoop_platform.providers.oauth import Grant, OAuthProvider, refresh
from hoop_platform.providers.status import set_status
from hoop_platform.secrets import Cipher
from hoop_platform.timing import insist

_T = TypeVar("_T")
_POLL_SECONDS = 0.05
_PAUSE = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(hours=1)


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
    """A valid access token; `rejected` is one that the provider answered with 401.

    Of all tasks and processes that need a new token, one refreshes it and the others wait, without
    an open transaction. Raises `NotConnected` when there is no token or the provider has ended the
    grant (the connection then is `pending`, which is announced), and `ProviderDown` when the
    outcome is unknown.
    """
    deadline = asyncio.get_running_loop().time() + 1.5 * provider.timeout
    while True:
        stored = await credentials.get_credential(database, account_id, connection_id)
        if stored is None:
            raise NotConnected(connection_id)
        access = stored.open(cipher).access
        if stored.fresh_until > now and not _same(access, rejected):
            return access
        if stored.resting:
            raise ProviderDown(f"{provider.name} has just failed to refresh a token")
        lease = await credentials.lease_credential(database, stored, length=_lease(provider))
        if lease is not None:
            attempt = _Refresh(database, http, cipher, provider, stored, lease, now)
            if (token := await _uncancellable(attempt.run())) is not None:
                return token
        elif asyncio.get_running_loop().time() > deadline:
            raise ProviderDown(f"another process is still asking {provider.name}")
        else:
            await asyncio.sleep(_POLL_SECONDS)


def _same(token: str, rejected: str | None) -> bool:
    return rejected is not None and hmac.compare_digest(token.encode(), rejected.encode())


def _lease(provider: OAuthProvider) -> timedelta:
    """Longer than any refresh may take: a lease expires only if its holder died."""
    return timedelta(seconds=3 * provider.timeout)


@dataclass(frozen=True)
class _Refresh:
    """One refresh of one generation of a credential, by the holder of its lease."""

    database: Database
    http: ClientSession
    cipher: Cipher
    provider: OAuthProvider
    stored: StoredCredential
    lease: str
    now: datetime

    async def run(self) -> str | None:
        """Refresh the tokens and store them; None when the row has to be read again.

        A process that dies between the provider's response and the commit loses the rotated token:
        the next refresh is refused, and the owner has to connect again. This gap cannot be closed.
        """
        leased_at = asyncio.get_running_loop().time()
        tokens = self.stored.open(self.cipher)
        try:
            grant = await refresh(self.http, self.provider, refresh_token=tokens.refresh)
        except GrantRefused as refusal:
            await self._end_grant(refusal.reason)
            return None
        except ProviderDown as down:
            pause = min(down.retry_after or _PAUSE, _LONGEST_PAUSE)
            await credentials.postpone_refresh(self.database, self.stored, self.lease, pause=pause)
            raise
        await fp("token_rotated")
        saved = await self._store(grant, leased_at)
        await fp("token_saved")
        return grant.access_token if saved else None

    async def _store(self, grant: Grant, leased_at: float) -> bool:
        """Store the tokens, again and again while Postgres is away: the old ones may be void by now.

        Until the lease ends: then another process asks, and its refusal, if any, is the truth.
        """

        async def store() -> bool:
            return await credentials.update_tokens(
                self.database, self.cipher, self.stored, grant, now=self.now
            )

        left = leased_at + _lease(self.provider).total_seconds() - asyncio.get_running_loop().time()
        return await insist(store, within=left, what="refreshed tokens")

    async def _end_grant(self, reason: str) -> None:
        """Make the connections pending, unless another process has refreshed the token meanwhile."""
        async with self.database.transaction() as db:
            sharing = await provider_accounts.lock_provider_accounts_of(
                db, self.stored.account_id, self.stored.id
            )
            if await credentials.is_leased(db, self.stored, self.lease):
                for connection in sharing:
                    await set_status(db, connection, status="pending", reason=reason, now=self.now)


async def _uncancellable(work: Coroutine[None, None, _T]) -> _T:
    """Run to the end; a cancellation meanwhile takes effect afterwards.

    A process that stops must not lose a token that the provider has just rotated. Each step of the
    refresh has a timeout, and storing ends with the lease.
    """
    task = asyncio.get_running_loop().create_task(work)  # a TaskGroup would cancel it with us
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
