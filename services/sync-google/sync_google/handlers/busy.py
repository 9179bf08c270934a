"""Stores a finished listing of a Google calendar: foreign events, busy weeks, drift of our events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hoop_platform.db.database import Tx
from hoop_platform.ids import is_id
from hoop_platform.providers.provider_accounts import ProviderAccount, lock_provider_account
from hoop_platform.providers.status import record_sync
from hoop_platform.telemetry import log
from sync_google.domain.busy import Interval, ListedEvent, Window
from sync_google.handlers import busy_weeks
from sync_google.providers.google.parsing import fields_match
from sync_google.store import feeds, foreign_events, own_events
from sync_google.store.feeds import Feed
from sync_google.store.own_events import WatchedEvent

MIN_SYNC_ANNOUNCEMENT = timedelta(minutes=15)
"""`lastSyncAt` is announced at most this often, since most polls find nothing new."""


@dataclass(frozen=True)
class FeedListing:
    """The events on all pages of one list. `full`: not only changes. `began`: Postgres' clock.

    `full_due_at`: when everything is to be listed again.
    """

    full: bool
    window: Window
    time_zone: str
    events: Sequence[ListedEvent]
    sync_token: str
    began: datetime
    full_due_at: datetime


async def store_listing(db: Tx, listed: Feed, listing: FeedListing, *, now: datetime) -> None:
    """Store the events of a listing and its sync token, unless the connection was ended meanwhile."""
    connection = await lock_provider_account(db, listed.account_id, listed.connection_id)
    feed = await feeds.lock_feed(db, listed.account_id, listed.connection_id)
    if connection is None or connection.status != "active" or feed is None:
        return
    if listing.full or listing.events:
        await _store_events(db, feed, listing, now=now)
    await feeds.update_listed(
        db,
        feed,
        window=listing.window,
        time_zone=listing.time_zone,
        sync_token=listing.sync_token,
        full_due_at=listing.full_due_at,
    )
    await _record_sync(db, connection, now)


async def _store_events(db: Tx, feed: Feed, listing: FeedListing, *, now: datetime) -> None:
    own = await _own_events(db, feed, listing.events)
    foreign = [event for event in listing.events if event.id not in own]
    await _store_foreign_events(db, feed, listing, _blocking(foreign, listing.window))
    await _note_drift(db, feed, listing)
    await busy_weeks.announce_changed_weeks(db, feed, listing.window, now=now)


async def _own_events(db: Tx, feed: Feed, events: Sequence[ListedEvent]) -> frozenset[str]:
    """The ids of events that this account created: known ids, or marked by one of its connections.

    Another tenant's appointments in the same Google calendar are foreign: they block time.
    """
    by_id = await own_events.list_own_events(db, feed.account_id, [event.id for event in events])
    marks = {event.marked_by for event in events if event.marked_by and is_id(event.marked_by)}
    connections = await own_events.list_own_connections(db, feed.account_id, marks)
    return by_id | {event.id for event in events if event.marked_by in connections}


def _blocking(events: Sequence[ListedEvent], window: Window) -> dict[str, Interval]:
    """The intervals of the events that block time in the window, by event id."""
    return {
        event.id: event.during
        for event in events
        if event.blocks
        and event.during
        and event.during[0] < event.during[1]
        and window.overlaps(event.during)
    }


async def _store_foreign_events(
    db: Tx, feed: Feed, listing: FeedListing, blocking: dict[str, Interval]
) -> None:
    if listing.full:
        await foreign_events.delete_other_foreign_events(db, feed, blocking)
    else:
        free = {event.id for event in listing.events} - blocking.keys()
        await foreign_events.delete_foreign_events(db, feed, free)
    await foreign_events.upsert_foreign_events(db, feed, blocking)


async def _note_drift(db: Tx, feed: Feed, listing: FeedListing) -> None:
    """Note which of our events somebody else has changed or deleted; our next change restores them.

    The appointment stays as it is: a change in Google changes no appointment.
    """
    listed = {event.id: event for event in listing.events}
    ids = None if listing.full else listed
    for watched in await own_events.list_watched_events(db, feed, ids, since=listing.began):
        drift = _drift(watched, listed.get(watched.event_id), listing.window)
        if drift != watched.drift:
            await own_events.update_drift(db, feed.account_id, watched, drift)
            log.info("drift", subject=watched.subject, drift=drift)


def _drift(watched: WatchedEvent, listed: ListedEvent | None, window: Window) -> str | None:
    """How the event differs from what we wrote. A full listing leaves deleted events out."""
    if listed is None:
        expected = window.overlaps((watched.draft.start, watched.draft.end))
        return "deleted" if expected else watched.drift
    if listed.cancelled:
        return "deleted"
    return None if fields_match(listed.fields, watched.draft) else "changed"


async def _record_sync(db: Tx, connection: ProviderAccount, now: datetime) -> None:
    last = connection.last_sync_at
    if last is None or now - last >= MIN_SYNC_ANNOUNCEMENT:
        await record_sync(db, connection, now=now)
