"""Table `feed`: the connected Google calendars, how far each was listed, and when it is polled next."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.ids import new_id
from sync_google.domain.busy import Window

LEASE = timedelta(seconds=60)
"""Renewed after each page; one page takes 20 seconds at most."""


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
    attempts: int
    lease_token: str | None

    @property
    def window(self) -> Window | None:
        """The time range of the last full listing."""
        if self.window_start is None or self.window_end is None:
            return None
        return Window(self.window_start, self.window_end)


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
    """Have this Google calendar listed, in full and at once."""
    await db.execute(
        """
        INSERT INTO feed (account_id, connection_id, calendar_id, remote_calendar, user_id)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, connection_id) DO UPDATE
           SET calendar_id = $3, remote_calendar = $4, user_id = $5, sync_token = NULL,
               next_attempt_at = clock_timestamp(), attempts = 0
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


async def lock_next_feed(database: Database) -> Feed | None:
    """Lease the feed that has been due longest; None if none is due.

    Feeds of a provider user whose circuit is open are left out, unless the circuit is open because
    of an exceeded quota: that one stops writes only.
    """
    row = await database.fetchrow(
        """
        UPDATE feed SET lease_token = $1, lease_until = clock_timestamp() + $2::interval,
                        attempts = attempts + 1
         WHERE (account_id, connection_id) = (
            SELECT f.account_id, f.connection_id FROM feed AS f
              JOIN provider_account AS c ON c.account_id = f.account_id AND c.id = f.connection_id
             WHERE f.next_attempt_at <= clock_timestamp() AND c.status = 'active'
               AND (f.lease_until IS NULL OR f.lease_until < clock_timestamp())
               AND NOT EXISTS (SELECT FROM circuit AS o
                                WHERE o.provider = 'google' AND o.provider_user = c.external_id
                                  AND o.open_until > clock_timestamp()
                                  AND o.reason NOT LIKE '%quotaExceeded%')
             ORDER BY f.next_attempt_at LIMIT 1 FOR UPDATE OF f SKIP LOCKED)
        RETURNING *
        """,
        new_id(),
        LEASE,
    )
    return _feed(row) if row else None


async def update_lease(database: Database, feed: Feed) -> bool:
    """Renew the lease of a feed for another page; False when another worker has the lease."""
    renewed = await database.fetchval(
        """
        UPDATE feed SET lease_until = clock_timestamp() + $4::interval
         WHERE account_id = $1 AND connection_id = $2 AND lease_token = $3
        RETURNING true
        """,
        feed.account_id,
        feed.connection_id,
        feed.lease_token,
        LEASE,
    )
    return bool(renewed)


async def update_listed(
    db: Tx,
    feed: Feed,
    *,
    window: Window,
    time_zone: str,
    sync_token: str,
    full_due_at: datetime,
    wait: timedelta,
) -> None:
    """Store where a finished listing ended, in the transaction that stores its events."""
    await db.execute(
        """
        UPDATE feed
           SET window_start = $3, window_end = $4, time_zone = $5, sync_token = $6,
               full_due_at = $7, next_attempt_at = clock_timestamp() + $8::interval,
               pulled_at = clock_timestamp(), attempts = 0, last_error = NULL,
               lease_token = NULL, lease_until = NULL
         WHERE account_id = $1 AND connection_id = $2
        """,
        feed.account_id,
        feed.connection_id,
        window.start,
        window.end,
        time_zone,
        sync_token,
        full_due_at,
        wait,
    )


async def update_postponed(db: Tx | Database, feed: Feed, *, reason: str, wait: timedelta) -> None:
    """Store why a listing failed and try it again after `wait`, if the lease is still ours."""
    await db.execute(
        """
        UPDATE feed
           SET next_attempt_at = clock_timestamp() + $4::interval, last_error = $5,
               lease_token = NULL, lease_until = NULL
         WHERE account_id = $1 AND connection_id = $2 AND lease_token = $3
        """,
        feed.account_id,
        feed.connection_id,
        feed.lease_token,
        wait,
        reason[:500],
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
