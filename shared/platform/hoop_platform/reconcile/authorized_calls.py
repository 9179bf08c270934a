"""Calls with an access token: one that is valid, refreshed once if the provider rejects it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

from hoop_platform.providers.errors import (
    CallPostponed,
    NotConnected,
    PermissionLost,
    TokenRejected,
)
from hoop_platform.providers.status import suspend_account
from hoop_platform.providers.tokens import access_token
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.reconciler import Adapter, CallContext
from hoop_platform.runtime import Runtime

D = TypeVar("D")
T = TypeVar("T")

CALL_SECONDS = 25.0
"""Of an attempt's 40 seconds, those in which calls may begin; the last call may take 10 more."""


class AuthorizedCalls(Generic[D]):
    """The calls that one attempt makes through a provider account, within the time of its lease."""

    def __init__(self, runtime: Runtime, adapter: Adapter[D], claimed: Claimed) -> None:
        self.runtime = runtime
        self.adapter = adapter
        self.claimed = claimed
        self.observed = claimed.observed
        self.token: str | None = None
        self.deadline = claimed.begun + CALL_SECONDS
        """The event loop's time after which no call is begun: each must end within the lease."""

    def check_deadline(self) -> None:
        """Raise `CallPostponed` when it is too late for another call."""
        if asyncio.get_running_loop().time() > self.deadline:
            raise CallPostponed("the lease is too short for another call", timedelta())

    async def with_token(self, call: Callable[[CallContext], Awaitable[T]]) -> T:
        """Call with a token. If access is lost for good, suspend the account and raise `NotConnected`."""
        try:
            return await self._with_refresh(call)
        except TokenRejected:
            reason = "reconnect_needed"
        except PermissionLost as error:
            reason = error.reason
        assert self.observed.account is not None  # only a call with a token raises these
        async with self.runtime.db.transaction() as db:
            await suspend_account(
                db,
                self.claimed.desired_state.account_id,
                self.observed.account.connection_id,
                reason=reason,
                now=self.runtime.clock.now(),
            )
        raise NotConnected(self.observed.account.connection_id)

    async def _with_refresh(self, call: Callable[[CallContext], Awaitable[T]]) -> T:
        """Call with a token, and once more with a refreshed one if it was revoked before its expiry."""
        try:
            return await call(await self._context())
        except TokenRejected:
            if self.adapter.oauth is None:
                raise
        return await call(await self._context(rejected=self.token))

    async def _context(self, *, rejected: str | None = None) -> CallContext:
        if self.token is None or rejected is not None:
            self.token = await self._access_token(rejected=rejected)
        account = self.observed.account
        return CallContext(
            token=self.token,
            subject=self.claimed.desired_state.subject,
            provider_user=self.claimed.desired_state.provider_user,
            attempts=self.claimed.attempts,
            settings=account.settings if account else {},
            desired=self.claimed.desired_state.desired,
        )

    async def _access_token(self, *, rejected: str | None) -> str:
        runtime, account = self.runtime, self.observed.account
        if self.adapter.oauth is None or account is None:
            return ""
        now, credential = runtime.clock.now(), self.observed.credential
        if rejected is None and credential is not None and credential.fresh_until > now:
            return credential.open(runtime.cipher).access
        return await access_token(
            runtime.db,
            runtime.http,
            runtime.cipher,
            self.adapter.oauth,
            account_id=self.claimed.desired_state.account_id,
            connection_id=account.connection_id,
            now=now,
            rejected=rejected,
        )
