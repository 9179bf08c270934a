"""Table `feed`: the connected Google calendars, and how far each was listed."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from hoop_platform.db.database import Database, Row, Tx
from sync_google.domain.busy import Window
from sync_google.domain.listing import Listing


@dataclass(frozen=True)
class Feed:
    """One connected Google calendar, as stored."""

    account_id: str
    connection_id: str
    calendar_id: str
    remote_calendar: str
    user_id: str | None
    time_zone: str | None
    sync_token: str | None
    window_start: datetime | None
    window_end: datetime | None
    full_due_at: datetime | None

    @property
    def window(self) -> Window | None:
        """The time range of the last full listing."""
        if self.window_start is None or self.window_end is None:
            return None
        return Window(self.window_start, self.window_end)


@dataclass(frozen=True)
class Poll:
    """What an attempt to list a feed begins with; `began` is Postgres' time.

    `paused`: the circuit of the Google user is open for so long. One that is open because of an
    exceeded quota does not count: that quota stops writes only.
    """

    feed: Feed
    google_user: str
    began: datetime
    paused: timedelta | None
    unfinished: Listing | None


def _feed(row: Row) -> Feed:
    return Feed(**{column.name: row[column.name] for column in fields(Feed)})


async def upsert_feed(
    db: Tx,
    account_id: str,
    connection_id: str,
    *,
    calendar_id: str,
    remote_calendar: str,
    user_id: str | None,
) -> None:
    """Have this Google calendar listed in full."""
    await db.execute(
        """
        INSERT INTO feed (account_id, connection_id, calendar_id, remote_calendar, user_id)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, connection_id) DO UPDATE
           SET calendar_id = $3, remote_calendar = $4, user_id = $5, sync_token = NULL,
               unfinished = NULL
        """,
        account_id,
        connection_id,
        calendar_id,
        remote_calendar,
        user_id,
    )


async def lock_feed(db: Tx, account_id: str, connection_id: str) -> Feed | None:
    """The feed of a connection, locked."""
    row = await db.fetchrow(
        "SELECT * FROM feed WHERE account_id = $1 AND connection_id = $2 FOR UPDATE",
        account_id,
        connection_id,
    )
    return _feed(row) if row else None


async def lock_feeds_of_calendar(db: Tx, account_id: str, calendar_id: str) -> list[Feed]:
    """The feeds of one calendar of ours, locked."""
    rows = await db.fetch(
        """
        SELECT * FROM feed WHERE account_id = $1 AND calendar_id = $2
         ORDER BY connection_id FOR UPDATE
        """,
        account_id,
        calendar_id,
    )
    return [_feed(row) for row in rows]


async def update_feed_user(
    db: Tx, account_id: str, connection_id: str, user_id: str | None
) -> None:
    """Set whom the foreign events block; None: the calendar."""
    await db.execute(
        "UPDATE feed SET user_id = $3 WHERE account_id = $1 AND connection_id = $2",
        account_id,
        connection_id,
        user_id,
    )


async def delete_feed(db: Tx, account_id: str, connection_id: str) -> None:
    """Delete the feed and its foreign events."""
    for table in ("foreign_event", "feed"):
        await db.execute(
            f"DELETE FROM {table} WHERE account_id = $1 AND connection_id = $2",  # noqa: S608 -- two names of our own
            account_id,
            connection_id,
        )


async def begin_poll(
    database: Database, account_id: str, connection_id: str, *, google_user: str
) -> Poll | None:
    """The feed of a connection as it is now; None when there is none any more."""
    row = await database.fetchrow(
        """
        SELECT f.*, clock_timestamp() AS began, (
               SELECT c.open_until - clock_timestamp() FROM circuit AS c
                WHERE c.provider = 'google' AND c.provider_user = $3
                  AND c.open_until > clock_timestamp()
                  AND c.reason NOT LIKE '%quotaExceeded%') AS paused
          FROM feed AS f WHERE f.account_id = $1 AND f.connection_id = $2
        """,
        account_id,
        connection_id,
        google_user,
    )
    if row is None:
        return None
    stored = row["unfinished"]
    unfinished = Listing.loaded(stored) if stored else None
    return Poll(_feed(row), google_user, row["began"], row["paused"], unfinished)


async def update_unfinished(db: Tx, feed: Feed, unfinished: Listing | None) -> None:
    """Store a list of which further pages follow, or forget it."""
    await db.execute(
        "UPDATE feed SET unfinished = $3 WHERE account_id = $1 AND connection_id = $2",
        feed.account_id,
        feed.connection_id,
        unfinished.dumped() if unfinished else None,
    )


async def update_listed(
    db: Tx,
    feed: Feed,
    *,
    window: Window,
    time_zone: str,
    sync_token: str,
    full_due_at: datetime,
) -> None:
    """Store where a finished listing ended, in the transaction that stores its events."""
    await db.execute(
        """
        UPDATE feed
           SET window_start = $3, window_end = $4, time_zone = $5, sync_token = $6,
               full_due_at = $7, pulled_at = clock_timestamp(), unfinished = NULL
         WHERE account_id = $1 AND connection_id = $2
        """,
        feed.account_id,
        feed.connection_id,
        window.start,
        window.end,
        time_zone,
        sync_token,
        full_due_at,
    )


async def upsert_circuit(db: Tx, provider_user: str, *, wait: timedelta, reason: str) -> None:
    """Open the circuit of a Google user: nothing is tried for this user before `wait` is over."""
    await db.execute(
        """
        INSERT INTO circuit AS c (provider, provider_user, open_until, reason)
        VALUES ('google', $1, clock_timestamp() + $2::interval, $3)
        ON CONFLICT (provider, provider_user) DO UPDATE
           SET open_until = greatest(c.open_until, excluded.open_until), reason = excluded.reason
        """,
        provider_user,
        wait,
        reason[:500],
    )
