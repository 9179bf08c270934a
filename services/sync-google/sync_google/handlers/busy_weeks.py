"""Announces the busy weeks of a connection; a week is announced only when it has changed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hoop_events.effects import BusyInterval, BusyWeek, ExternalBusyChanged
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce
from sync_google.domain.busy import Interval, Window, by_week, weeks_of
from sync_google.store import busy_weeks, feeds, foreign_events
from sync_google.store.busy_weeks import AnnouncedWeek
from sync_google.store.feeds import Feed


async def announce_changed_weeks(db: Tx, feed: Feed, window: Window, *, now: datetime) -> int:
    """Announce the weeks of the window that differ from the last announcement; returns their number.

    The caller has locked the feed.
    """
    current = by_week(await foreign_events.list_busy_intervals(db, feed, window), window)
    announced = await busy_weeks.list_busy_weeks(db, feed.account_id, feed.connection_id)
    changed = 0
    for week in weeks_of(window):
        intervals, before = current.get(week, []), announced.get(week)
        if _has_changed(feed, intervals, before):
            await _announce(db, _next_week(feed, week, intervals, before), now=now)
            changed += 1
    return changed


def _has_changed(feed: Feed, intervals: Sequence[Interval], before: AnnouncedWeek | None) -> bool:
    if before is None or not before.intervals:
        return bool(intervals)
    last = (list(before.intervals), before.user_id, before.calendar_id)
    return last != (list(intervals), feed.user_id, feed.calendar_id)


def _next_week(
    feed: Feed, week: str, intervals: Sequence[Interval], before: AnnouncedWeek | None
) -> AnnouncedWeek:
    return AnnouncedWeek(
        account_id=feed.account_id,
        connection_id=feed.connection_id,
        week=week,
        calendar_id=feed.calendar_id,
        user_id=feed.user_id,
        intervals=intervals,
        sequence=before.sequence + 1 if before else 1,
    )


async def change_blocked_user(db: Tx, feed: Feed, user_id: str | None, *, now: datetime) -> None:
    """Let the feed block another user (None: the calendar). The caller has locked the feed."""
    if feed.user_id == user_id:
        return
    await feeds.update_feed_user(db, feed.account_id, feed.connection_id, user_id)
    announced = await busy_weeks.list_busy_weeks(db, feed.account_id, feed.connection_id)
    for week in announced.values():
        if week.intervals:
            after = replace(week, user_id=user_id, sequence=week.sequence + 1)
            await _announce(db, after, now=now)


async def announce_all_free(db: Tx, account_id: str, connection_id: str, *, now: datetime) -> None:
    """Announce every busy week of the connection as free. The caller has locked the connection."""
    announced = await busy_weeks.list_busy_weeks(db, account_id, connection_id)
    for week in announced.values():
        if week.intervals:
            free = replace(week, intervals=(), sequence=week.sequence + 1)
            await _announce(db, free, now=now)


async def _announce(db: Tx, week: AnnouncedWeek, *, now: datetime) -> None:
    await busy_weeks.upsert_busy_week(db, week)
    state = BusyWeek(
        id=f"{week.connection_id}:{week.week}",
        sequence=week.sequence,
        connection_id=week.connection_id,
        week=week.week,
        calendar_id=week.calendar_id,
        user_id=week.user_id,
        intervals=tuple(BusyInterval(start=start, end=end) for start, end in week.intervals),
    )
    await announce(db, ExternalBusyChanged(account_id=week.account_id, state=state), now=now)
