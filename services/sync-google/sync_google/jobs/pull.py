"""Polls each connected Google calendar: lists what has changed, and everything once a day."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import SystemRandom
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hoop_platform.db.database import UNAVAILABLE, LeaseLost
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import (
    NotConnected,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    SyncTokenExpired,
)
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import log, span
from hoop_platform.timing import pause
from sync_google.config import Settings
from sync_google.domain.busy import ListedEvent, Window
from sync_google.handlers.busy import FeedListing, NextPoll, store_listing
from sync_google.jobs.authorized_calls import AuthorizedCalls
from sync_google.providers.google.calendar_api import EventPage
from sync_google.providers.google.parsing import parse_listed_event
from sync_google.store import connections, feeds
from sync_google.store.feeds import Feed

CONCURRENCY = 4
IDLE_SECONDS = 0.5
MAX_PAGES = 400
MAX_SECONDS = 600.0
MAX_WAIT = timedelta(minutes=15)
DAY = timedelta(days=1)

_random = SystemRandom()


def jittered(wait: timedelta) -> timedelta:
    """The wait ± 25 %, so that calendars connected at the same time are polled at different times."""
    return wait * _random.uniform(0.75, 1.25)


class PullWorker:
    """Lists the feeds that are due, `CONCURRENCY` at a time."""

    def __init__(self, runtime: Runtime[Settings]) -> None:
        self._runtime = runtime

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; listings that have begun are finished."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONCURRENCY):
                tasks.create_task(self._loop(stop))

    async def _loop(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                worked = await self.once()
            except UNAVAILABLE as error:
                log.warning("pull waits for postgres", error=repr(error))
                worked = False
            if not worked:
                await pause(stop, jittered(timedelta(seconds=IDLE_SECONDS)).total_seconds())

    async def once(self) -> bool:
        """List the feed that has been due longest; True if there was one."""
        feed = await feeds.lock_next_feed(self._runtime.db)
        if feed is None:
            return False
        with span("google pull", attributes={"hoop.subject": feed.connection_id}):
            await FeedPull(self._runtime, feed).run()
        return True


@dataclass
class FeedPull:
    """One listing of one Google calendar, whose feed is leased by this worker."""

    runtime: Runtime[Settings]
    feed: Feed

    async def run(self) -> None:
        """List the calendar and store the listing; after a failure, postpone it."""
        try:
            async with asyncio.timeout(MAX_SECONDS):
                await self._pull()
        except LeaseLost:
            log.warning("lease lost", what="pull", connection=self.feed.connection_id)
        except NotConnected:
            await self._postpone("not connected", MAX_WAIT)
        except ProviderDown as error:
            await self._postpone(str(error), error.retry_after or self._backoff())
        except (RateLimited, QuotaExceeded) as error:
            await self._open_circuit(error)
        except (ProviderError, TimeoutError) as error:
            await self._postpone(repr(error), self._backoff())
        except UNAVAILABLE:
            raise
        except Exception as error:  # noqa: BLE001 -- a calendar that crashes its job must not stop the others
            log.error("pull failed", connection=self.feed.connection_id, exc_info=error)
            await self._postpone(repr(error), self._backoff())

    async def _pull(self) -> None:
        listing = await self._listing()
        await fp("google_listed")
        now, poll_seconds = self.runtime.clock.now(), self.runtime.settings.google_poll_seconds
        due = self.feed.full_due_at
        full_due_at = now + jittered(DAY) if listing.full or due is None else due
        next_poll = NextPoll(jittered(timedelta(seconds=poll_seconds)), full_due_at)
        async with self.runtime.db.transaction() as db:
            if not await store_listing(db, self.feed, listing, next_poll, now=now):
                raise LeaseLost
            await fp("google_listing_stored")

    async def _listing(self) -> FeedListing:
        """The changes since the last listing if they are complete, else everything."""
        feed, now = self.feed, self.runtime.clock.now()
        began = await connections.get_database_time(self.runtime.db)
        if feed.sync_token and feed.window and feed.full_due_at and now < feed.full_due_at:
            changes = await self._changes(feed.window, feed.sync_token, began)
            if changes is not None:
                return changes
        horizon = timedelta(days=self.runtime.settings.google_horizon_days)
        return await self._list(Window.around(now, horizon=horizon), None, began)

    async def _changes(
        self, window: Window, sync_token: str, began: datetime
    ) -> FeedListing | None:
        """The changes since `sync_token`; None when they are not enough.

        That is so when the token has expired; when the calendar's zone was changed (all-day events
        then have other times, but are not listed as changed); and when a series was changed (a list
        of changes need not name the instances that no longer exist).
        """
        try:
            listing = await self._list(window, sync_token, began)
        except SyncTokenExpired:
            return None
        zone_changed = listing.time_zone != self.feed.time_zone
        if zone_changed or any(event.series for event in listing.events):
            return None
        return listing

    async def _list(self, window: Window, sync_token: str | None, began: datetime) -> FeedListing:
        events: list[ListedEvent] = []
        page_token: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._page(window, sync_token, page_token)
            await fp("google_page")
            events += self._parse(page)
            page_token = page.next_page
            if page_token is None and page.sync_token is not None:
                return FeedListing(
                    full=sync_token is None,
                    window=window,
                    time_zone=page.time_zone,
                    events=events,
                    sync_token=page.sync_token,
                    began=began,
                )
            if page_token is None:
                raise OutcomeUnknown("google ended a list without a sync token")
            if not await feeds.update_lease(self.runtime.db, self.feed):
                raise LeaseLost
        raise OutcomeUnknown("google's list has too many pages")

    async def _page(
        self, window: Window, sync_token: str | None, page_token: str | None
    ) -> EventPage:
        calls = AuthorizedCalls(self.runtime, self.feed.account_id, self.feed.connection_id)
        return await calls.call(
            lambda api, token: api.list_events(
                token,
                self.feed.remote_calendar,
                window=window,
                sync_token=sync_token,
                page_token=page_token,
            )
        )

    def _parse(self, page: EventPage) -> Sequence[ListedEvent]:
        """The well-formed events of the page: a malformed one must not keep others from blocking."""
        zone = _zone(page.time_zone)
        parsed = [parse_listed_event(fields, zone) for fields in page.items]
        if (malformed := parsed.count(None)) > 0:
            log.warning("events not read", connection=self.feed.connection_id, count=malformed)
        return [event for event in parsed if event is not None]

    def _backoff(self) -> timedelta:
        """From one second to a quarter of an hour, doubled with each attempt."""
        return jittered(min(timedelta(seconds=2 ** min(self.feed.attempts, 12)), MAX_WAIT))

    async def _postpone(self, reason: str, wait: timedelta) -> None:
        await feeds.update_postponed(self.runtime.db, self.feed, reason=reason, wait=wait)

    async def _open_circuit(self, error: RateLimited | QuotaExceeded) -> None:
        """Let nothing be tried for this Google user for a while, pushes included."""
        wait = (error.wait if isinstance(error, RateLimited) else None) or self._backoff()
        feed, reason = self.feed, str(error)
        async with self.runtime.db.transaction() as db:
            provider_user = await connections.get_provider_user(
                db, feed.account_id, feed.connection_id
            )
            if provider_user is not None:
                await feeds.upsert_circuit(db, provider_user, wait=wait, reason=reason)
            await feeds.update_postponed(db, feed, reason=reason, wait=wait)


def _zone(name: str) -> ZoneInfo:
    """The zone of this name; UTC for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("unknown zone", zone=name[:60])
        return ZoneInfo("UTC")
