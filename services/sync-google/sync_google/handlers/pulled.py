"""What a finished list does: foreign events are kept, our own are only looked at, weeks are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hoop_platform.db.database import Tx
from hoop_platform.ids import is_id
from hoop_platform.providers.provider_accounts import ProviderAccount as Connected
from hoop_platform.providers.provider_accounts import lock_provider_account
from hoop_platform.providers.status import record_sync
from hoop_platform.telemetry import log
from sync_google import store
from sync_google.domain import Interval, Item, Window
from sync_google.google import says
from sync_google.handlers import weeks

SYNC_IS_NEWS = timedelta(minutes=15)
"""`lastSyncAt` is announced at most this often: a poll that finds nothing is no fact for others."""


@dataclass(frozen=True)
class Listed:
    """All pages of one list. `began` is database time."""

    full: bool
    window: Window
    time_zone: str
    items: Sequence[Item]
    sync_token: str
    began: datetime


@dataclass(frozen=True)
class Next:
    """When to look again: `wait` until the next list, `full_due_at` for a full one."""

    wait: timedelta
    full_due_at: datetime


async def take_in(db: Tx, mine: store.Feed, listed: Listed, then: Next, *, now: datetime) -> bool:
    """Store a list and where it ended, together; False when the feed is no longer ours."""
    connection = await lock_provider_account(db, mine.account_id, mine.connection_id)
    feed = await store.feed(db, mine.account_id, mine.connection_id)
    if connection is None or connection.status != "active":
        return False
    if feed is None or feed.lease_token != mine.lease_token:
        return False
    ours = await _ours(db, feed, listed.items)
    blocking = _blocking([item for item in listed.items if item.id not in ours], listed.window)
    await _keep(db, feed, listed, blocking)
    await _look_at_ours(db, feed, listed)
    if listed.full or listed.items:
        await weeks.tell(db, feed, listed.window, now=now)
    await store.save_progress(
        db,
        feed,
        window=listed.window,
        time_zone=listed.time_zone,
        sync_token=listed.sync_token,
        full_due_at=then.full_due_at,
        wait=then.wait,
    )
    await _say_synced(db, connection, now)
    return True


async def _ours(db: Tx, feed: store.Feed, items: Sequence[Item]) -> frozenset[str]:
    """What we made ourselves: by its id, or by the mark of a connection of this account.

    Another tenant's appointments in the same Google calendar are foreign: they block.
    """
    by_id = await store.our_events(db, feed.account_id, [item.id for item in items])
    marks = {item.marked_by for item in items if item.marked_by and is_id(item.marked_by)}
    makers = await store.our_connections(db, feed.account_id, marks)
    return by_id | {item.id for item in items if item.marked_by in makers}


def _blocking(items: Sequence[Item], window: Window) -> dict[str, Interval]:
    """What takes time in the window. What moved out of it, or became free, is not among them."""
    return {
        item.id: item.during
        for item in items
        if item.blocks
        and item.during
        and item.during[0] < item.during[1]
        and window.overlaps(item.during)
    }


async def _keep(db: Tx, feed: store.Feed, listed: Listed, blocking: dict[str, Interval]) -> None:
    if listed.full:
        await store.drop_other_events(db, feed, blocking)
    else:
        free = {item.id for item in listed.items} - blocking.keys()
        await store.drop_events(db, feed, free)
    await store.keep_events(db, feed, blocking)


async def _look_at_ours(db: Tx, feed: store.Feed, listed: Listed) -> None:
    """Our event was changed or deleted by somebody: noted, and restored with our next change.

    The appointment stays as it is: Google shows it, and does not rule it.
    """
    seen = {item.id: item for item in listed.items}
    ids = None if listed.full else seen
    for watched in await store.watched(db, feed, ids, since=listed.began):
        drift = _drift(watched, seen.get(watched.event_id), listed.window)
        if drift != watched.drift:
            await store.note_drift(db, feed.account_id, watched, drift)
            log.info("drift", subject=watched.subject, drift=drift)


def _drift(watched: store.Watched, seen: Item | None, window: Window) -> str | None:
    """How it differs from what we wrote; a full list does not name what was deleted."""
    if seen is None:
        there = window.overlaps((watched.draft.start, watched.draft.end))
        return "deleted" if there else watched.drift
    if seen.cancelled:
        return "deleted"
    return None if says(seen.fields, watched.draft) else "changed"


async def _say_synced(db: Tx, connection: Connected, now: datetime) -> None:
    last = connection.last_sync_at
    if last is None or now - last >= SYNC_IS_NEWS:
        await record_sync(db, connection, now=now)
