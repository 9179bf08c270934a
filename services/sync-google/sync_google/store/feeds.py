"""The calendars of Google that are looked at: when, how far, for whom, and by which hand."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from hoop_platform.db.database import Database, Row, Tx
from hoop_platform.ids import new_id
from sync_google.domain import Window

LEASE = timedelta(seconds=60)
"""Renewed with each page, which takes twenty seconds at the very most."""


@dataclass(frozen=True)
class Feed:
    """One connected calendar, as its row says."""

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
        """What the last full list covered."""
        if self.window_start is None or self.window_end is None:
            return None
        return Window(self.window_start, self.window_end)


def _feed(row: Row) -> Feed:
    return Feed(**{column.name: row[column.name] for column in fields(Feed)})


async def keep_feed(
    db: Tx,
    account_id: str,
    connection_id: str,
    *,
    calendar_id: str,
    remote_calendar: str,
    user_id: str | None,
) -> None:
    """Look at this calendar, now; one that is looked at already is listed anew."""
    await db.execute(
        """
        INSERT INTO feed (account_id, connection_id, calendar_id, remote_calendar, user_id)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, connection_id) DO UPDATE
           SET calendar_id = $3, remote_calendar = $4, user_id = $5, sync_token = NULL,
               next_at = clock_timestamp(), attempts = 0
        """,
        account_id,
        connection_id,
        calendar_id,
        remote_calendar,
        user_id,
    )


async def feed(db: Tx, account_id: str, connection_id: str) -> Feed | None:
    """The feed, locked."""
    row = await db.fetchrow(
        "SELECT * FROM feed WHERE account_id = $1 AND connection_id = $2 FOR UPDATE",
        account_id,
        connection_id,
    )
    return _feed(row) if row else None


async def feeds_of_calendar(db: Tx, account_id: str, calendar_id: str) -> list[Feed]:
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


async def set_user(db: Tx, account_id: str, connection_id: str, user_id: str | None) -> None:
    await db.execute(
        "UPDATE feed SET user_id = $3 WHERE account_id = $1 AND connection_id = $2",
        account_id,
        connection_id,
        user_id,
    )


async def drop_feed(db: Tx, account_id: str, connection_id: str) -> None:
    """Look no more, and forget what was seen."""
    for table in ("foreign_event", "feed"):
        await db.execute(
            f"DELETE FROM {table} WHERE account_id = $1 AND connection_id = $2",  # noqa: S608 -- two names of our own
            account_id,
            connection_id,
        )


async def claim(database: Database) -> Feed | None:
    """The feed that has waited longest, ours alone for a while; none of a closed gate.

    A spent quota closes the gate for writes only: reading goes on.
    """
    row = await database.fetchrow(
        """
        UPDATE feed SET lease_token = $1, lease_until = clock_timestamp() + $2::interval,
                        attempts = attempts + 1
         WHERE (account_id, connection_id) = (
            SELECT f.account_id, f.connection_id FROM feed AS f
              JOIN provider_account AS c ON c.account_id = f.account_id AND c.id = f.connection_id
             WHERE f.next_at <= clock_timestamp() AND c.status = 'active'
               AND (f.lease_until IS NULL OR f.lease_until < clock_timestamp())
               AND NOT EXISTS (SELECT FROM circuit AS g
                                WHERE g.provider = 'google' AND g.provider_user = c.external_id
                                  AND g.open_until > clock_timestamp()
                                  AND g.reason NOT LIKE '%quotaExceeded%')
             ORDER BY f.next_at LIMIT 1 FOR UPDATE OF f SKIP LOCKED)
        RETURNING *
        """,
        new_id(),
        LEASE,
    )
    return _feed(row) if row else None


async def renew(database: Database, mine: Feed) -> bool:
    """Hold on for another page; False when somebody else has taken over."""
    renewed = await database.fetchval(
        """
        UPDATE feed SET lease_until = clock_timestamp() + $4::interval
         WHERE account_id = $1 AND connection_id = $2 AND lease_token = $3
        RETURNING true
        """,
        mine.account_id,
        mine.connection_id,
        mine.lease_token,
        LEASE,
    )
    return bool(renewed)


async def save_progress(
    db: Tx,
    mine: Feed,
    *,
    window: Window,
    time_zone: str,
    sync_token: str,
    full_due_at: datetime,
    wait: timedelta,
) -> None:
    """All pages are in: go on from this token. In the transaction that stored their events."""
    await db.execute(
        """
        UPDATE feed
           SET window_start = $3, window_end = $4, time_zone = $5, sync_token = $6,
               full_due_at = $7, next_at = clock_timestamp() + $8::interval,
               pulled_at = clock_timestamp(), attempts = 0, last_error = NULL,
               lease_token = NULL, lease_until = NULL
         WHERE account_id = $1 AND connection_id = $2
        """,
        mine.account_id,
        mine.connection_id,
        window.start,
        window.end,
        time_zone,
        sync_token,
        full_due_at,
        wait,
    )


async def postpone(
    db: Tx | Database,
    mine: Feed,
    *,
    reason: str,
    wait: timedelta,
    forget_token: bool = False,
) -> None:
    """Not now. Another attempt after `wait`, if nobody else has taken over meanwhile."""
    await db.execute(
        """
        UPDATE feed
           SET next_at = clock_timestamp() + $4::interval, last_error = $5,
               lease_token = NULL, lease_until = NULL,
               sync_token = CASE WHEN $6 THEN NULL ELSE sync_token END
         WHERE account_id = $1 AND connection_id = $2 AND lease_token = $3
        """,
        mine.account_id,
        mine.connection_id,
        mine.lease_token,
        wait,
        reason[:500],
        forget_token,
    )


async def close_gate(db: Tx, provider_user: str, *, wait: timedelta, reason: str) -> None:
    """Google wants to hear nothing from this user for a while."""
    await db.execute(
        """
        INSERT INTO circuit AS g (provider, provider_user, open_until, reason)
        VALUES ('google', $1, clock_timestamp() + $2::interval, $3)
        ON CONFLICT (provider, provider_user) DO UPDATE
           SET open_until = greatest(g.open_until, excluded.open_until), reason = excluded.reason
        """,
        provider_user,
        wait,
        reason[:500],
    )


async def named_user(db: Tx, account_id: str, connection_id: str) -> str | None:
    """The user that the connection's settings name."""
    named: str | None = await db.fetchval(
        "SELECT settings ->> 'userId' FROM provider_account WHERE account_id = $1 AND id = $2",
        account_id,
        connection_id,
    )
    return named


async def provider_user(db: Tx, account_id: str, connection_id: str) -> str | None:
    """The Google user whose patience is spent."""
    found: str | None = await db.fetchval(
        "SELECT external_id FROM provider_account WHERE account_id = $1 AND id = $2",
        account_id,
        connection_id,
    )
    return found
