"""Calls Google on behalf of a connection: with a valid access token, refreshed once if refused."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from hoop_platform.providers.errors import NotConnected, PermissionLost, TokenRejected
from hoop_platform.providers.status import suspend_account
from hoop_platform.providers.tokens import access_token
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.runtime import Runtime
from sync_google.config import Settings
from sync_google.providers.google.calendar_api import CalendarApi
from sync_google.providers.google.oauth import oauth_provider

Result = TypeVar("Result")
ApiCall = Callable[[CalendarApi, str], Awaitable[Result]]
"""A call of Google's API with an access token."""


@dataclass(frozen=True)
class AuthorizedCalls:
    """The calls of one attempt, through the connection of its desired state."""

    runtime: Runtime[Settings]
    claimed: Claimed

    async def call(self, api_call: ApiCall[Result]) -> Result:
        """Call Google. If only the owner can restore access: suspend the account, raise `NotConnected`."""
        try:
            return await self._call_with_refresh(api_call)
        except TokenRejected:
            reason = "reconnect_needed"
        except PermissionLost as error:
            reason = error.reason
        now = self.runtime.clock.now()
        async with self.runtime.db.transaction() as db:
            await suspend_account(db, self._account_id, self._connection_id, reason=reason, now=now)
        raise NotConnected(self._connection_id)

    async def _call_with_refresh(self, api_call: ApiCall[Result]) -> Result:
        api = CalendarApi(self.runtime.http, self.runtime.settings)
        token = await self._token()
        try:
            return await api_call(api, token)
        except TokenRejected:
            token = await self._token(rejected=token)
        return await api_call(api, token)

    @property
    def _account_id(self) -> str:
        return self.claimed.desired_state.account_id

    @property
    def _connection_id(self) -> str:
        return str(self.claimed.desired_state.connection_id)

    async def _token(self, *, rejected: str | None = None) -> str:
        """The token that was read with the desired state, if it is fresh; else a refreshed one."""
        rt, credential = self.runtime, self.claimed.observed.credential
        now = rt.clock.now()
        if rejected is None and credential is not None and credential.fresh_until > now:
            return credential.open(rt.cipher).access
        return await access_token(
            rt.db,
            rt.http,
            rt.cipher,
            oauth_provider(rt.settings),
            account_id=self._account_id,
            connection_id=self._connection_id,
            now=now,
            rejected=rejected,
        )
