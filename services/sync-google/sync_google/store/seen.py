"""What was seen in Google: foreign events that block time, and how our own ones are."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from hoop_platform.db.database import Tx
from sync_google.domain import Draft, Interval, Window
from sync_google.store.feeds import Feed


async def keep_events(db: Tx, mine: Feed, blocking: Mapping[str, Interval]) -> None:
    """These block time now."""
    await db.executemany(
        """
        INSERT INTO foreign_event (account_id, connection_id, id, starts_at, ends_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, connection_id, id) DO UPDATE SET starts_at = $4, ends_at = $5
        """,
        [(mine.account_id, mine.connection_id, name, *during) for name, during in blocking.items()],
    )


async def drop_events(db: Tx, mine: Feed, ids: Collection[str]) -> None:
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


async def drop_other_events(db: Tx, mine: Feed, ids: Collection[str]) -> None:
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


async def blocking(db: Tx, mine: Feed, window: Window) -> list[Interval]:
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


async def our_connections(db: Tx, account_id: str, ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that are connections of this account, live or ended."""
    rows = await db.fetch(
        "SELECT id FROM provider_account WHERE account_id = $1 AND id = ANY ($2::uuid[])",
        account_id,
        list(ids),
    )
    return frozenset(row["id"] for row in rows)


async def our_events(db: Tx, account_id: str, ids: Collection[str]) -> frozenset[str]:
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


@dataclass(frozen=True)
class Watched:
    """An event of ours that should be as we wrote it. `drift` is how it was found to differ."""

    subject: str
    generation: int
    event_id: str
    etag: str | None
    draft: Draft
    drift: str | None


async def watched(
    db: Tx, feed: Feed, ids: Collection[str] | None, *, since: datetime
) -> list[Watched]:
    """Our events in this calendar, or those of them with these ids.

    Without those that were written since the list began, or are being written: what the list
    says of them is our own echo.
    """
    rows = await db.fetch(
        """
        SELECT e.subject, e.generation, e.external_id, e.etag, e.data FROM external AS e
          JOIN work AS w ON w.kind = e.kind AND w.subject = e.subject
         WHERE e.account_id = $1 AND e.kind = 'google-event' AND e.connection_id = $2
           AND e.remote_calendar = $3 AND e.state = 'live' AND e.intent_at < $4
           AND ($5::text[] IS NULL OR e.external_id = ANY ($5)) AND e.data ? 'draft'
           AND w.status = 'done' AND w.lease_token IS NULL
        """,
        feed.account_id,
        feed.connection_id,
        feed.remote_calendar,
        since,
        None if ids is None else list(ids),
    )
    return [
        Watched(
            subject=row["subject"],
            generation=row["generation"],
            event_id=row["external_id"],
            etag=row["etag"],
            draft=Draft.from_json(row["data"]["draft"]),
            drift=row["data"].get("drift"),
        )
        for row in rows
    ]


async def note_drift(db: Tx, account_id: str, found: Watched, drift: str | None) -> None:
    """It was changed or deleted by somebody else; None: it is as we wrote it again."""
    await db.execute(
        """
        UPDATE external
           SET data = CASE WHEN $4::text IS NULL THEN data - 'drift'
                           ELSE data || jsonb_build_object('drift', $4::text) END
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
        """,
        account_id,
        found.subject,
        found.generation,
        drift,
    )
