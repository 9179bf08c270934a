"""Calling Google in the name of a connection: with a living token, refreshed once when refused."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hoop_platform.providers.errors import NotConnected
from hoop_platform.providers.tokens import access_token
from hoop_platform.runtime import Runtime
from sync_google import handlers
from sync_google.domain import AccessLost, TokenRejected
from sync_google.google import Google, oauth

T = TypeVar("T")


@dataclass(frozen=True)
class Access:
    """One connection's way in."""

    runtime: Runtime
    account_id: str
    connection_id: str

    async def __call__(self, deed: Callable[[Google, str], Awaitable[T]]) -> T:
        """Do it. What only the owner can mend is announced, and comes out as `NotConnected`."""
        try:
            return await self._refreshed(deed)
        except TokenRejected:
            reason = "reconnect_needed"
        except AccessLost as lost:
            reason = lost.reason
        async with self.runtime.db.transaction() as db:
            now = self.runtime.clock.now()
            await handlers.lose_access(
                db, self.account_id, self.connection_id, reason=reason, now=now
            )
        raise NotConnected(self.connection_id)

    async def _refreshed(self, deed: Callable[[Google, str], Awaitable[T]]) -> T:
        google = Google(self.runtime.http, self.runtime.settings)
        token = await self._token()
        try:
            return await deed(google, token)
        except TokenRejected:
            token = await self._token(rejected=token)
        return await deed(google, token)

    async def _token(self, *, rejected: str | None = None) -> str:
        rt = self.runtime
        return await access_token(
            rt.db,
            rt.http,
            rt.cipher,
            oauth(rt.settings),
            account_id=self.account_id,
            connection_id=self.connection_id,
            now=rt.clock.now(),
            rejected=rejected,
        )
