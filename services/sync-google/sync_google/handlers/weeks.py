"""Announcing what blocks time, week by week, and only what has changed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from hoop_events.effects import BusyInterval, BusyWeek, ExternalBusyChanged
from hoop_platform.db.database import Tx
from hoop_platform.outbox.announce import announce
from sync_google import store
from sync_google.domain import Interval, Window, by_week, weeks_of


async def tell(db: Tx, feed: store.Feed, window: Window, *, now: datetime) -> int:
    """Announce the weeks of the window that differ from what was said; the feed is locked."""
    wanted = by_week(await store.blocking(db, feed, window), window)
    known = await store.weeks(db, feed.account_id, feed.connection_id)
    told = 0
    for week in weeks_of(window):
        intervals, before = wanted.get(week, []), known.get(week)
        if _is_news(feed, intervals, before):
            await _say(db, _next(feed, week, intervals, before), now=now)
            told += 1
    return told


def _is_news(feed: store.Feed, intervals: Sequence[Interval], before: store.Week | None) -> bool:
    if before is None or not before.intervals:
        return bool(intervals)
    same = (list(before.intervals), before.user_id, before.calendar_id)
    return same != (list(intervals), feed.user_id, feed.calendar_id)


def _next(
    feed: store.Feed, week: str, intervals: Sequence[Interval], before: store.Week | None
) -> store.Week:
    return store.Week(
        account_id=feed.account_id,
        connection_id=feed.connection_id,
        week=week,
        calendar_id=feed.calendar_id,
        user_id=feed.user_id,
        intervals=intervals,
        sequence=before.sequence + 1 if before else 1,
    )


async def block(db: Tx, feed: store.Feed, user_id: str | None, *, now: datetime) -> None:
    """From now on it blocks somebody else; the feed is locked."""
    if feed.user_id == user_id:
        return
    await store.set_user(db, feed.account_id, feed.connection_id, user_id)
    for week in (await store.weeks(db, feed.account_id, feed.connection_id)).values():
        if week.intervals:
            after = replace(week, user_id=user_id, sequence=week.sequence + 1)
            await _say(db, after, now=now)


async def free_all(db: Tx, account_id: str, connection_id: str, *, now: datetime) -> None:
    """It blocks nothing any more; the connection is locked."""
    for week in (await store.weeks(db, account_id, connection_id)).values():
        if week.intervals:
            await _say(db, replace(week, intervals=(), sequence=week.sequence + 1), now=now)


async def _say(db: Tx, week: store.Week, *, now: datetime) -> None:
    await store.save_week(db, week)
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
