"""The calendars of Google that are looked at: when, how far, and what they block."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from shared.db import Connection, Database, Row
from shared.ids import new_id
from sync_google.domain import Interval, Item, Window

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
    db: Connection,
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


async def feed(db: Connection, account_id: str, connection_id: str) -> Feed | None:
    """The feed, locked."""
    row = await db.fetchrow(
        "SELECT * FROM feed WHERE account_id = $1 AND connection_id = $2 FOR UPDATE",
        account_id,
        connection_id,
    )
    return _feed(row) if row else None


async def feeds_of_calendar(db: Connection, account_id: str, calendar_id: str) -> list[Feed]:
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


async def set_user(
    db: Connection, account_id: str, connection_id: str, user_id: str | None
) -> None:
    await db.execute(
        "UPDATE feed SET user_id = $3 WHERE account_id = $1 AND connection_id = $2",
        account_id,
        connection_id,
        user_id,
    )


async def drop_feed(db: Connection, account_id: str, connection_id: str) -> None:
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
              JOIN connection AS c ON c.account_id = f.account_id AND c.id = f.connection_id
             WHERE f.next_at <= clock_timestamp() AND c.status = 'active'
               AND (f.lease_until IS NULL OR f.lease_until < clock_timestamp())
               AND NOT EXISTS (SELECT FROM gate AS g
                                WHERE g.provider = 'google' AND g.principal = c.external_id
                                  AND g.open_at > clock_timestamp()
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
    db: Connection,
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
    db: Connection | Database,
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


async def close_gate(db: Connection, principal: str, *, wait: timedelta, reason: str) -> None:
    """Google wants to hear nothing from this user for a while."""
    await db.execute(
        """
        INSERT INTO gate AS g (provider, principal, open_at, reason)
        VALUES ('google', $1, clock_timestamp() + $2::interval, $3)
        ON CONFLICT (provider, principal) DO UPDATE
           SET open_at = greatest(g.open_at, excluded.open_at), reason = excluded.reason
        """,
        principal,
        wait,
        reason[:500],
    )


async def keep_events(db: Connection, mine: Feed, blocking: Mapping[str, Interval]) -> None:
    """These block time now."""
    await db.executemany(
        """
        INSERT INTO foreign_event (account_id, connection_id, id, starts_at, ends_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, connection_id, id) DO UPDATE SET starts_at = $4, ends_at = $5
        """,
        [(mine.account_id, mine.connection_id, name, *during) for name, during in blocking.items()],
    )


async def drop_events(db: Connection, mine: Feed, ids: Collection[str]) -> None:
    """These block nothing (any more)."""
    await db.execute(
        """
        DELETE FROM foreign_event
         WHERE account_id = $1 AND connection_id = $2 AND id = ANY ($3::text[])
        """,
        mine.account_id,
        mine.connection_id,
        list(ids),
    )


async def drop_other_events(db: Connection, mine: Feed, ids: Collection[str]) -> None:
    """A full list tells of no deletion: what it does not name is gone."""
    await db.execute(
        """
        DELETE FROM foreign_event
         WHERE account_id = $1 AND connection_id = $2 AND NOT id = ANY ($3::text[])
        """,
        mine.account_id,
        mine.connection_id,
        list(ids),
    )


async def blocking(db: Connection, mine: Feed, window: Window) -> list[Interval]:
    """What blocks time in the window."""
    rows = await db.fetch(
        """
        SELECT starts_at, ends_at FROM foreign_event
         WHERE account_id = $1 AND connection_id = $2 AND ends_at > $3 AND starts_at < $4
        """,
        mine.account_id,
        mine.connection_id,
        window.start,
        window.end,
    )
    return [(row["starts_at"], row["ends_at"]) for row in rows]


async def our_connections(db: Connection, account_id: str, ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that are connections of this account, live or ended."""
    rows = await db.fetch(
        "SELECT id FROM connection WHERE account_id = $1 AND id = ANY ($2::uuid[])",
        account_id,
        list(ids),
    )
    return frozenset(row["id"] for row in rows)


async def our_events(db: Connection, account_id: str, ids: Sequence[str]) -> frozenset[str]:
    """Those of the ids that are events we have made for this account."""
    rows = await db.fetch(
        """
        SELECT external_id FROM external
         WHERE account_id = $1 AND kind = 'google-event' AND external_id = ANY ($2::text[])
        """,
        account_id,
        list(ids),
    )
    return frozenset(row["external_id"] for row in rows)


async def note_drift(
    db: Connection, mine: Feed, seen: Item, *, since: datetime, drift: str
) -> bool:
    """Somebody has changed or deleted an event of ours; True when that is news.

    Not when we have written it since the list began, or are about to: then it is our own echo.
    """
    noted = await db.fetchval(
        """
        UPDATE external AS e SET data = e.data || jsonb_build_object('drift', $6::text)
          FROM work AS w
         WHERE e.account_id = $1 AND e.kind = 'google-event' AND e.remote_calendar = $2
           AND e.external_id = $3 AND e.state = 'live' AND e.etag IS DISTINCT FROM $4
           AND e.intent_at < $5 AND e.data ->> 'drift' IS DISTINCT FROM $6::text
           AND w.kind = e.kind AND w.subject = e.subject AND w.status = 'done'
           AND w.lease_token IS NULL
        RETURNING true
        """,
        mine.account_id,
        mine.remote_calendar,
        seen.id,
        seen.etag,
        since,
        drift,
    )
    return bool(noted)


async def named_user(db: Connection, account_id: str, connection_id: str) -> str | None:
    """The user that the connection's settings name."""
    named: str | None = await db.fetchval(
        "SELECT settings ->> 'userId' FROM connection WHERE account_id = $1 AND id = $2",
        account_id,
        connection_id,
    )
    return named


async def principal(db: Connection, account_id: str, connection_id: str) -> str | None:
    """The Google user whose patience is spent."""
    found: str | None = await db.fetchval(
        "SELECT external_id FROM connection WHERE account_id = $1 AND id = $2",
        account_id,
        connection_id,
    )
    return found
