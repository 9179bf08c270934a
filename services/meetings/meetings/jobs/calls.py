"""The calls of one attempt: each with a living token, in time, counted before it is made."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from aiohttp import ClientSession

from hoop_platform.clock import Clock
from hoop_platform.db.database import Tx
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import NotConnected
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.providers.provider_accounts import lock_provider_account
from hoop_platform.providers.tokens import access_token
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.runtime import Runtime
from meetings import handlers, store
from meetings.config import Settings
from meetings.domain import (
    SETTLE,
    Adapter,
    Draft,
    Found,
    Made,
    NotThere,
    Place,
    Refusal,
    Rejected,
    ScopeLost,
    TokenRejected,
    Wanted,
    allowance,
    is_urgent,
)
from meetings.zoom import Zoom, oauth

T = TypeVar("T")

REFUSED_DROP = timedelta(hours=1)

ADAPTERS: Mapping[str, Callable[[ClientSession, Settings, Clock], Adapter]] = {"zoom": Zoom}
OAUTH: Mapping[str, Callable[[Settings], OAuthProvider]] = {"zoom": oauth}


class Spent(Refusal):
    """The day's calls are used up; this one was not made."""


class NotNow(Refusal):
    """To be gone on with after `wait`, and nothing of it is anybody's fault."""

    def __init__(self, text: str, *, wait: timedelta) -> None:
        super().__init__(text)
        self.wait = wait


class Superseded(Refusal):
    """The wish was changed, or somebody else works on it; the call was not made."""


@dataclass(frozen=True)
class Calls:
    """What one attempt may do at the provider, in the name of one connection."""

    runtime: Runtime
    mine: Claimed
    place: Place
    wanted: Wanted
    connection_id: str
    until: float
    """The event loop's time after which no call is begun: it has to end within the lease."""

    @property
    def adapter(self) -> Adapter:
        rt = self.runtime
        return ADAPTERS[self.place.provider](rt.http, rt.settings, rt.clock)

    async def create(self, generation: int) -> None:
        """Make the meeting. If the answer is lost, the intent stays, and is looked into later."""
        draft = Draft(
            session=self.place.session,
            generation=generation,
            topic=self.wanted.topic,
            start=self.wanted.start,
            minutes=self.wanted.minutes,
            time_zone=self.wanted.time_zone,
        )
        await self._ask(partial(self._create, draft))

    async def _create(self, draft: Draft, token: str) -> None:
        async with self.runtime.db.transaction() as db:
            await self._permit(db)
            connection = await lock_provider_account(db, self.place.account_id, self.connection_id)
            if connection is None or connection.status != "active":
                raise NotConnected(self.connection_id)
            # The connection stays locked until the commit: who ends it then finds this intent.
            await store.intend(db, self.place, draft.generation, self.connection_id)
        await fp("meeting_intended")
        try:
            self._check_time()
            found = await self.adapter.create(token, draft)
        except Refusal:
            await store.mark_gone(self.runtime.db, self.place, draft.generation)
            raise
        await fp("meeting_made")
        await self._record(found)

    async def _record(self, found: Found) -> None:
        """What exists, exists, whoever holds the wish by now; then they have to know of it."""
        async with self.runtime.db.transaction() as db:
            await store.lock(db, [self.place], shared=False)
            await store.record_made(db, self.place, found)
            if not await store.has_lease(db, self.mine):
                await handlers.look_again(db, self.place)

    async def drop(self, made: Made) -> None:
        """Delete it; that it is not there is what we want."""
        try:
            with suppress(NotThere):
                await self._ask(partial(self._delete, made))
        except Rejected as no:
            # A meeting that is running, say. It may be dropped later, and is not to be forgotten.
            raise NotNow(str(no), wait=REFUSED_DROP) from no
        await store.mark_gone(self.runtime.db, self.place, made.generation)

    async def _delete(self, made: Made, token: str) -> None:
        async with self.runtime.db.transaction() as db:
            await self._permit(db)
            await store.doom(db, self.place, made.generation)
        await fp("meeting_doomed")
        self._check_time()
        await self.adapter.delete(token, str(made.external_id))
        await fp("meeting_dropped")

    async def edit(self, made: Made) -> None:
        """Bring title and length up to date. If its host has deleted it, it is gone."""
        try:
            await self._ask(partial(self._update, made))
        except NotThere:
            await store.mark_gone(self.runtime.db, self.place, made.generation)

    async def _update(self, made: Made, token: str) -> None:
        content = {"topic": self.wanted.topic, "minutes": self.wanted.minutes}
        async with self.runtime.db.transaction() as db:
            await self._permit(db, edit=True)
        self._check_time()
        await self.adapter.update(
            token, str(made.external_id), topic=self.wanted.topic, minutes=self.wanted.minutes
        )
        await store.record_edit(self.runtime.db, self.place, made.generation, content)

    async def look_up(self, lost: Sequence[Made]) -> None:
        """Find out which of these exist. What is not there after `SETTLE` will never be."""
        found = await self._ask(self._find)
        there = {meeting.generation: meeting for meeting in reversed(found)}
        async with self.runtime.db.transaction() as db:
            await store.lock(db, [self.place], shared=False)
            for made in lost:
                if meeting := there.get(made.generation):
                    await store.record_made(db, self.place, meeting)
                else:
                    settled = made.age >= SETTLE
                    await store.mark_missing(db, self.place, made.generation, settled=settled)

    async def _find(self, token: str) -> Sequence[Found]:
        self._check_time()
        return await self.adapter.find(token, self.place.session)

    async def _permit(self, db: Tx, *, edit: bool = False) -> None:
        """Count the call; only as long as the wish is ours and says the same."""
        if not await store.is_held(db, self.mine):
            raise Superseded("the wish has changed hands")
        now = self.runtime.clock.now()
        urgent = not edit and is_urgent(self.wanted.start, now=now)
        spent = await store.spend(
            db,
            self.place.account_id,
            self.place.provider,
            self.mine.desired_state.provider_user,
            day=now.date(),
            allowance=allowance(self.adapter.daily_limit, urgent=urgent),
        )
        if not spent:
            raise Spent("daily_quota")

    def _check_time(self) -> None:
        if asyncio.get_running_loop().time() > self.until:
            raise NotNow("the lease is too short for another call", wait=timedelta())

    async def _ask(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Call with a token; a permission that is gone for good is its owner's to give again."""
        try:
            return await self._refreshed(call)
        except TokenRejected:
            reason = "reconnect_needed"
        except ScopeLost:
            reason = "scope_missing"
        async with self.runtime.db.transaction() as db:
            now = self.runtime.clock.now()
            who = (self.place.account_id, self.connection_id)
            await handlers.lose_access(db, *who, reason=reason, now=now)
        raise NotConnected(self.connection_id)

    async def _refreshed(self, call: Callable[[str], Awaitable[T]]) -> T:
        """A token that is refused is refreshed once: it may have been revoked before its time."""
        token = await self._token()
        try:
            return await call(token)
        except TokenRejected:
            token = await self._token(rejected=token)
        return await call(token)

    async def _token(self, *, rejected: str | None = None) -> str:
        rt = self.runtime
        return await access_token(
            rt.db,
            rt.http,
            rt.cipher,
            OAUTH[self.place.provider](rt.settings),
            account_id=self.place.account_id,
            connection_id=self.connection_id,
            now=rt.clock.now(),
            rejected=rejected,
        )
