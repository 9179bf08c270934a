"""Polls a connected Google calendar: lists what has changed, and everything once a day."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from secrets import SystemRandom
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hoop_platform.db.database import Tx
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import (
    NotConnected,
    OutcomeUnknown,
    ProviderDown,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    SyncTokenExpired,
)
from hoop_platform.reconcile.calls import Calls
from hoop_platform.reconcile.claims import wait_of
from hoop_platform.reconcile.desired_state import Claimed
from hoop_platform.reconcile.outcome import Done, Failed, Later, Outcome, Record
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import log
from sync_google.config import Settings
from sync_google.domain.busy import ListedEvent, Window
from sync_google.domain.listing import Listing
from sync_google.domain.plan import DesiredEvent
from sync_google.handlers.busy import FeedListing, store_listing
from sync_google.providers.google.adapter import GoogleAdapter
from sync_google.providers.google.calendar_api import CalendarApi
from sync_google.providers.google.parsing import parse_listed_event
from sync_google.store import feeds
from sync_google.store.feeds import Poll

MAX_PAGES = 400
MAX_AGE = timedelta(hours=1)
"""An unfinished list that is older is begun again: Google's page tokens do not last."""
DAY = timedelta(days=1)

_random = SystemRandom()


def jittered(wait: timedelta) -> timedelta:
    """The wait ± 25 %, so that calendars connected at the same time are polled at different times."""
    return wait * _random.uniform(0.75, 1.25)


async def pull_feed(runtime: Runtime[Settings], claimed: Claimed) -> Outcome:
    """List a connected Google calendar, and store the list; again after the poll interval."""
    account = claimed.observed.account
    if account is None:
        return Done()
    if not account.active:
        return Failed("not connected")
    poll = await feeds.begin_poll(
        runtime.db,
        claimed.desired_state.account_id,
        account.connection_id,
        google_user=str(account.external_id),
    )
    if poll is None:
        return Done()
    if poll.paused is not None:
        return Later("the rate limit of the Google user is reached", wait=poll.paused)
    return await FeedPull(runtime, claimed, poll).run()


class FeedPull:
    """One attempt to list one Google calendar, or to go on with a list that takes several."""

    def __init__(self, runtime: Runtime[Settings], claimed: Claimed, poll: Poll) -> None:
        self.runtime = runtime
        self.claimed = claimed
        self.poll = poll
        self.feed = poll.feed
        self._api = CalendarApi(runtime.http, runtime.settings)
        nothing_to_write = DesiredEvent(None, sequence=0)
        self._calls = Calls(runtime, GoogleAdapter(runtime), claimed, nothing_to_write)

    async def run(self) -> Outcome:
        """List the calendar; what is to be stored is stored with the outcome."""
        try:
            listing = await self._listing()
        except NotConnected:
            return Failed("not connected")
        except (ProviderError, ProviderDown) as error:
            return self._later(error)
        if not listing.complete:
            return Later("more pages follow", wait=timedelta(), record=self._save(listing))
        await fp("google_listed")
        again_in = jittered(timedelta(seconds=self.runtime.settings.google_poll_seconds))
        return Done(again_in=again_in, record=self._store(listing))

    def _later(self, error: ProviderError | ProviderDown) -> Later:
        """Try again; from the first page if Google has refused a page."""
        match error:
            case ProviderDown():
                return Later(str(error), wait=error.retry_after)
            case RateLimited() | QuotaExceeded():
                return self._pause_google_user(error)
            case OutcomeUnknown():
                return Later(str(error), wait=error.wait)
            case _:
                return Later(str(error), record=self._save(None))

    async def _listing(self) -> Listing:
        """The changes since the last list if they suffice, else everything, as far as time allows."""
        listing = self._begun()
        try:
            listing = await self._pages(listing)
        except SyncTokenExpired:
            if listing.full:
                raise
            return await self._pages(self._everything())
        if listing.complete and not self._suffices(listing):
            return await self._pages(self._everything())
        return listing

    def _begun(self) -> Listing:
        """The unfinished list, or a new one without pages."""
        feed, now, unfinished = self.feed, self.runtime.clock.now(), self.poll.unfinished
        if unfinished is not None and self.poll.began - unfinished.began < MAX_AGE:
            return unfinished
        if feed.sync_token and feed.window and feed.full_due_at and now < feed.full_due_at:
            return Listing(feed.window, self.poll.began, feed.sync_token)
        return self._everything()

    def _everything(self) -> Listing:
        horizon = timedelta(days=self.runtime.settings.google_horizon_days)
        window = Window.around(self.runtime.clock.now(), horizon=horizon)
        return Listing(window, self.poll.began)

    def _suffices(self, listing: Listing) -> bool:
        """Whether the list tells all that has changed.

        A list of changes does not when the calendar's zone was changed (all-day events then have
        other times, but are not listed), and when a series was changed (instances that no longer
        exist need not be named).
        """
        if listing.full:
            return True
        return listing.time_zone == self.feed.time_zone and not any(
            event.series for event in _parsed(listing)
        )

    async def _pages(self, listing: Listing) -> Listing:
        """The list with its further pages, at least one and as many as there is time for."""
        while not listing.complete:
            listing = await self._next_page(listing)
            await fp("google_page")
            if asyncio.get_running_loop().time() > self._calls.deadline:
                break
        return listing

    async def _next_page(self, listing: Listing) -> Listing:
        if listing.pages >= MAX_PAGES:
            raise RequestRejected("google's list has too many pages")
        page = await self._calls.with_token(
            lambda call: self._api.list_events(
                call.token,
                self.feed.remote_calendar,
                window=listing.window,
                sync_token=listing.sync_token,
                page_token=listing.page_token,
            )
        )
        if page.next_page is None and page.sync_token is None:
            raise RequestRejected("google ended a list without a sync token")
        return listing.extended(
            page.items,
            time_zone=page.time_zone,
            page_token=page.next_page,
            next_sync_token=page.sync_token,
        )

    def _store(self, listing: Listing) -> Record:
        now, due = self.runtime.clock.now(), self.feed.full_due_at
        finished = FeedListing(
            full=listing.full,
            window=listing.window,
            time_zone=listing.time_zone,
            events=self._logged(listing),
            sync_token=str(listing.next_sync_token),
            began=listing.began,
            full_due_at=now + jittered(DAY) if listing.full or due is None else due,
        )

        async def record(db: Tx) -> None:
            await store_listing(db, self.feed, finished, now=now)
            await fp("google_listing_stored")

        return record

    def _logged(self, listing: Listing) -> list[ListedEvent]:
        events = _parsed(listing)
        if malformed := len(listing.items) - len(events):
            log.warning("events not read", connection=self.feed.connection_id, count=malformed)
        return events

    def _save(self, unfinished: Listing | None) -> Record:
        async def record(db: Tx) -> None:
            await feeds.update_unfinished(db, self.feed, unfinished)

        return record

    def _pause_google_user(self, error: RateLimited | QuotaExceeded) -> Later:
        """Let nothing be tried for this Google user for a while, pushes included."""
        later = Later(str(error), wait=error.wait)
        wait, google_user = wait_of(self.claimed, later), self.poll.google_user

        async def record(db: Tx) -> None:
            await feeds.upsert_circuit(db, google_user, wait=wait, reason=str(error))

        return replace(later, wait=wait, record=record)


def _parsed(listing: Listing) -> list[ListedEvent]:
    """The events of a list but the malformed ones, whole days in the zone of the calendar."""
    zone = _zone(listing.time_zone)
    parsed = (parse_listed_event(fields, zone) for fields in listing.items)
    return [event for event in parsed if event is not None]


def _zone(name: str) -> ZoneInfo:
    """The zone of this name; UTC for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("unknown zone", zone=name[:60])
        return ZoneInfo("UTC")
