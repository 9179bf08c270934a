"""The provider operations of one attempt: each has a valid token and time left, and is counted first."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TypeVar

from aiohttp import ClientSession

from hoop_platform.clock import Clock
from hoop_platform.db.database import LeaseLost, Tx
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import (
    CallRefused,
    NotConnected,
    ObjectNotFound,
    PermissionLost,
    RequestRejected,
    TokenRejected,
)
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.providers.provider_accounts import lock_provider_account
from hoop_platform.providers.tokens import access_token
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.runtime import Runtime
from meetings import handlers
from meetings.config import MeetingsSettings
from meetings.domain.adapter import MeetingAdapter, MeetingDraft, ProviderMeeting
from meetings.domain.plan import SETTLE_TIME, ExternalObject
from meetings.domain.quota import allowance, is_urgent
from meetings.domain.sessions import DesiredMeeting, MeetingKey
from meetings.providers import zoom
from meetings.store import external_objects, quota, sessions

T = TypeVar("T")

REJECTED_DELETE_WAIT = timedelta(hours=1)

NewAdapter = Callable[[ClientSession, MeetingsSettings, Clock], MeetingAdapter]

ADAPTERS: Mapping[str, NewAdapter] = {"zoom": zoom.ZoomAdapter}
OAUTH_PROVIDERS: Mapping[str, Callable[[MeetingsSettings], OAuthProvider]] = {
    "zoom": zoom.oauth_provider
}


class QuotaExhausted(CallRefused):
    """The day's calls are used up by our own count; this call was not made."""


class CallPostponed(CallRefused):
    """The call was not made, or not accepted now; the attempt is to be repeated after `wait`."""

    def __init__(self, text: str, *, wait: timedelta) -> None:
        super().__init__(text)
        self.wait = wait


@dataclass(frozen=True)
class MeetingOperations:
    """The operations on one session's meetings at the provider, through one connection.

    Each raises a `ProviderError`, `ProviderDown`, `NotConnected` when the connection is not active
    (any more), or `LeaseLost` when the desired state was changed or claimed by another process.
    """

    runtime: Runtime[MeetingsSettings]
    claimed: Claimed
    key: MeetingKey
    desired: DesiredMeeting
    connection_id: str
    deadline: float
    """The event loop's time after which no call is begun: each call must end within the lease."""

    @property
    def adapter(self) -> MeetingAdapter:
        runtime = self.runtime
        return ADAPTERS[self.key.provider](runtime.http, runtime.settings, runtime.clock)

    async def create(self, generation: int) -> None:
        """Create the meeting. If the response is lost, the intent stays and is looked up later."""
        draft = MeetingDraft(
            session=self.key.session,
            generation=generation,
            topic=self.desired.topic,
            start=self.desired.start,
            minutes=self.desired.minutes,
            time_zone=self.desired.time_zone,
        )
        await self._with_token(partial(self._create, draft))

    async def _create(self, draft: MeetingDraft, token: str) -> None:
        async with self.runtime.db.transaction() as db:
            await self._count_call(db)
            connection = await lock_provider_account(db, self.key.account_id, self.connection_id)
            if connection is None or connection.status != "active":
                raise NotConnected(self.connection_id)
            # The connection is locked until the commit: a transaction that ends it sees the intent.
            await external_objects.upsert_intent(db, self.key, draft.generation, self.connection_id)
        await fp("meeting_intended")
        try:
            self._check_deadline()
            created = await self.adapter.create(token, draft)
        except CallRefused:
            await external_objects.update_gone(self.runtime.db, self.key, draft.generation)
            raise
        await fp("meeting_created")
        await self._record_created(created)

    async def _record_created(self, created: ProviderMeeting) -> None:
        """Store the meeting with or without the lease; its present holder then has to look again."""
        async with self.runtime.db.transaction() as db:
            await sessions.lock_sessions(db, [self.key], shared=False)
            await external_objects.update_existing(db, self.key, created)
            if not await external_objects.is_leased(db, self.claimed):
                await handlers.requeue(db, self.key)

    async def delete(self, meeting: ExternalObject) -> None:
        """Delete the meeting; one that does not exist any more counts as deleted."""
        try:
            with suppress(ObjectNotFound):
                await self._with_token(partial(self._delete, meeting))
        except RequestRejected as error:
            # For example, the meeting is running. It can be deleted later.
            raise CallPostponed(str(error), wait=REJECTED_DELETE_WAIT) from error
        await external_objects.update_gone(self.runtime.db, self.key, meeting.generation)

    async def _delete(self, meeting: ExternalObject, token: str) -> None:
        async with self.runtime.db.transaction() as db:
            await self._count_call(db)
            await external_objects.mark_for_deletion(db, self.key, meeting.generation)
        await fp("meeting_marked_for_deletion")
        self._check_deadline()
        await self.adapter.delete(token, str(meeting.external_id))
        await fp("meeting_deleted")

    async def update(self, meeting: ExternalObject) -> None:
        """Update the topic and the length. A meeting that its host has deleted is stored as gone."""
        try:
            await self._with_token(partial(self._update, meeting))
        except ObjectNotFound:
            await external_objects.update_gone(self.runtime.db, self.key, meeting.generation)

    async def _update(self, meeting: ExternalObject, token: str) -> None:
        topic, minutes = self.desired.topic, self.desired.minutes
        async with self.runtime.db.transaction() as db:
            await self._count_call(db, is_update=True)
        self._check_deadline()
        await self.adapter.update(token, str(meeting.external_id), topic=topic, minutes=minutes)
        content = {"topic": topic, "minutes": minutes}
        await external_objects.update_content(
            self.runtime.db, self.key, meeting.generation, content
        )

    async def look_up(self, lost: Sequence[ExternalObject]) -> None:
        """Find out which intended meetings exist. One not found after `SETTLE_TIME` never will."""
        found = await self._with_token(self._find)
        by_generation = {meeting.generation: meeting for meeting in reversed(found)}
        async with self.runtime.db.transaction() as db:
            await sessions.lock_sessions(db, [self.key], shared=False)
            for intended in lost:
                if meeting := by_generation.get(intended.generation):
                    await external_objects.update_existing(db, self.key, meeting)
                else:
                    await external_objects.update_not_found(
                        db, self.key, intended.generation, settled=intended.age >= SETTLE_TIME
                    )

    async def _find(self, token: str) -> Sequence[ProviderMeeting]:
        self._check_deadline()
        return await self.adapter.find(token, self.key.session)

    async def _count_call(self, db: Tx, *, is_update: bool = False) -> None:
        """Count the call about to be made. Raises `LeaseLost` and `QuotaExhausted`."""
        if not await external_objects.is_current(db, self.claimed):
            raise LeaseLost
        now = self.runtime.clock.now()
        urgent = not is_update and is_urgent(self.desired.start, now=now)
        counted = await quota.upsert_call(
            db,
            self.key.account_id,
            self.key.provider,
            self.claimed.desired_state.provider_user,
            day=now.date(),
            allowance=allowance(self.adapter.daily_limit, urgent=urgent),
        )
        if not counted:
            raise QuotaExhausted("daily_quota")

    def _check_deadline(self) -> None:
        if asyncio.get_running_loop().time() > self.deadline:
            raise CallPostponed("the lease is too short for another call", wait=timedelta())

    async def _with_token(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Call with a token. If access is lost for good, suspend the account and raise `NotConnected`."""
        try:
            return await self._with_refresh(call)
        except TokenRejected:
            reason = "reconnect_needed"
        except PermissionLost:
            reason = "scope_missing"
        async with self.runtime.db.transaction() as db:
            await handlers.suspend_account(
                db,
                self.key.account_id,
                self.connection_id,
                reason=reason,
                now=self.runtime.clock.now(),
            )
        raise NotConnected(self.connection_id)

    async def _with_refresh(self, call: Callable[[str], Awaitable[T]]) -> T:
        """Call with a token, and once more with a refreshed one if it was revoked before its expiry."""
        token = await self._token()
        try:
            return await call(token)
        except TokenRejected:
            token = await self._token(rejected=token)
        return await call(token)

    async def _token(self, *, rejected: str | None = None) -> str:
        runtime = self.runtime
        return await access_token(
            runtime.db,
            runtime.http,
            runtime.cipher,
            OAUTH_PROVIDERS[self.key.provider](runtime.settings),
            account_id=self.key.account_id,
            connection_id=self.connection_id,
            now=runtime.clock.now(),
            rejected=rejected,
        )
