"""Looks at each connected calendar from time to time: what is new there, or everything once a day."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import SystemRandom
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hoop_platform.db.database import UNAVAILABLE
from hoop_platform.failpoints import fp
from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.runtime import Runtime
from hoop_platform.telemetry import log, span
from hoop_platform.timing import pause
from sync_google import handlers, store
from sync_google.domain import (
    Item,
    NoAnswer,
    QuotaSpent,
    SyncExpired,
    TooMany,
    Trouble,
    Window,
)
from sync_google.google import Page, item
from sync_google.jobs.access import Access

HANDS = 4
IDLE_SECONDS = 0.5
MOST_PAGES = 400
LONGEST_SECONDS = 600.0
LONGEST_WAIT = timedelta(minutes=15)
DAY = timedelta(days=1)

_chance = SystemRandom()


class LeaseLost(Exception):
    """Somebody else looks at this calendar by now."""


def jittered(wait: timedelta) -> timedelta:
    """Give or take a quarter, so that calendars connected together do not stay together."""
    return wait * _chance.uniform(0.75, 1.25)


class Puller:
    """Takes the feeds that are due, one at a time per hand."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; then no hand begins another."""
        async with asyncio.TaskGroup() as hands:
            for _ in range(HANDS):
                hands.create_task(self._hand(stop))

    async def _hand(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                worked = await self.once()
            except UNAVAILABLE as error:
                log.warning("pull waits for postgres", error=repr(error))
                worked = False
            if not worked:
                await pause(stop, jittered(timedelta(seconds=IDLE_SECONDS)).total_seconds())

    async def once(self) -> bool:
        """Look at the calendar that has waited longest; say whether there was one."""
        mine = await store.claim(self._runtime.db)
        if mine is None:
            return False
        with span("google pull", attributes={"hoop.subject": mine.connection_id}):
            await Pull(self._runtime, mine).run()
        return True


@dataclass
class Pull:
    """One look at one calendar."""

    runtime: Runtime
    mine: store.Feed

    async def run(self) -> None:
        """List and take in; what goes wrong is tried again later."""
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self._pull()
        except LeaseLost:
            log.warning("lease lost", what="pull", connection=self.mine.connection_id)
        except NotConnected:
            await self._postpone("not connected", LONGEST_WAIT)
        except ProviderDown as down:
            await self._postpone(str(down), down.retry_after or self._growing())
        except (TooMany, QuotaSpent) as limited:
            await self._close_gate(limited)
        except (Trouble, TimeoutError) as trouble:
            await self._postpone(repr(trouble), self._growing())
        except UNAVAILABLE:
            raise
        except Exception as error:  # noqa: BLE001 -- a calendar that crashes its job must not stop the others
            log.error("pull failed", connection=self.mine.connection_id, exc_info=error)
            await self._postpone(repr(error), self._growing())

    async def _pull(self) -> None:
        listed = await self._listed()
        await fp("google_listed")
        now, poll = self.runtime.clock.now(), self.runtime.settings.google_poll_seconds
        due = self.mine.full_due_at
        full_due_at = now + jittered(DAY) if listed.full or due is None else due
        then = handlers.Next(jittered(timedelta(seconds=poll)), full_due_at)
        async with self.runtime.db.transaction() as db:
            if not await handlers.take_in(db, self.mine, listed, then, now=now):
                raise LeaseLost
            await fp("google_taken_in")

    async def _listed(self) -> handlers.Listed:
        """What changed since the last list, if that can be told so; else everything."""
        feed, now = self.mine, self.runtime.clock.now()
        began = await store.database_time(self.runtime.db)
        if feed.sync_token and feed.window and feed.full_due_at and now < feed.full_due_at:
            changes = await self._changes(feed.window, feed.sync_token, began)
            if changes is not None:
                return changes
        horizon = timedelta(days=self.runtime.settings.google_horizon_days)
        return await self._list(Window.around(now, horizon=horizon), None, began)

    async def _changes(
        self, window: Window, sync_token: str, began: datetime
    ) -> handlers.Listed | None:
        """The changes; None when they do not tell the whole story.

        So when the token has aged, when the calendar's zone was changed (all-day events move,
        and no event is changed by it), and when a series was touched: which of its instances
        are no more, a list of changes need not say.
        """
        try:
            listed = await self._list(window, sync_token, began)
        except SyncExpired:
            return None
        if listed.time_zone != self.mine.time_zone or any(i.series for i in listed.items):
            return None
        return listed

    async def _list(
        self, window: Window, sync_token: str | None, began: datetime
    ) -> handlers.Listed:
        items: list[Item] = []
        page_token: str | None = None
        for _ in range(MOST_PAGES):
            page = await self._page(window, sync_token, page_token)
            await fp("google_page")
            items += self._read(page)
            page_token = page.next_page
            if page_token is None and page.sync_token is not None:
                return handlers.Listed(
                    full=sync_token is None,
                    window=window,
                    time_zone=page.time_zone,
                    items=items,
                    sync_token=page.sync_token,
                    began=began,
                )
            if page_token is None:
                raise NoAnswer("google ended a list without a sync token")
            if not await store.renew(self.runtime.db, self.mine):
                raise LeaseLost
        raise NoAnswer("google's list does not end")

    async def _page(self, window: Window, sync_token: str | None, page_token: str | None) -> Page:
        ask = Access(self.runtime, self.mine.account_id, self.mine.connection_id)
        return await ask(
            lambda google, token: google.page(
                token,
                self.mine.remote_calendar,
                window=window,
                sync_token=sync_token,
                page_token=page_token,
            )
        )

    def _read(self, page: Page) -> Sequence[Item]:
        """The events that can be read: one odd event must not keep the others from blocking."""
        zone = _zone(page.time_zone)
        read = [item(said, zone) for said in page.items]
        if (odd := read.count(None)) > 0:
            log.warning("events not read", connection=self.mine.connection_id, count=odd)
        return [event for event in read if event is not None]

    def _growing(self) -> timedelta:
        """From a second to a quarter of an hour."""
        return jittered(min(timedelta(seconds=2 ** min(self.mine.attempts, 12)), LONGEST_WAIT))

    async def _postpone(self, reason: str, wait: timedelta) -> None:
        await store.postpone(self.runtime.db, self.mine, reason=reason, wait=wait)

    async def _close_gate(self, limited: TooMany | QuotaSpent) -> None:
        """Google wants to hear less of this user: pushes wait as well."""
        wait = (limited.wait if isinstance(limited, TooMany) else None) or self._growing()
        async with self.runtime.db.transaction() as db:
            provider_user = await store.provider_user(
                db, self.mine.account_id, self.mine.connection_id
            )
            if provider_user is not None:
                await store.close_gate(db, provider_user, wait=wait, reason=str(limited))
            await store.postpone(db, self.mine, reason=str(limited), wait=wait)


def _zone(name: str) -> ZoneInfo:
    """The calendar's zone; one that we do not know counts as UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        log.warning("unknown zone", zone=name[:60])
        return ZoneInfo("UTC")
