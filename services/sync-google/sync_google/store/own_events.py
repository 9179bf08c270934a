"""Our own events among those that Google lists (tables `external`, `provider_account`)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from hoop_platform.db.database import Tx
from sync_google.domain.plan import EventDraft
from sync_google.store.feeds import Feed


@dataclass(frozen=True)
class WatchedEvent:
    """An event of ours that should be as we wrote it. `drift`: how it was last found to differ."""

    subject: str
    generation: int
    event_id: str
    draft: EventDraft
    drift: str | None


async def list_own_connections(db: Tx, account_id: str, ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that are connections of this account, active or ended."""
    rows = await db.fetch(
        "SELECT id FROM provider_account WHERE account_id = $1 AND id = ANY ($2::uuid[])",
        account_id,
        list(ids),
    )
    return frozenset(row["id"] for row in rows)


async def list_own_events(db: Tx, account_id: str, ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that are Google events which we created for this account."""
    rows = await db.fetch(
        """
        SELECT external_id FROM external
         WHERE account_id = $1 AND kind = 'google-event' AND external_id = ANY ($2::text[])
        """,
        account_id,
        list(ids),
    )
    return frozenset(row["external_id"] for row in rows)


async def list_watched_events(
    db: Tx, feed: Feed, ids: Collection[str] | None, *, since: datetime
) -> list[WatchedEvent]:
    """Our events in this Google calendar, or those of them that have these ids.

    Events that were written after the listing began at `since`, or are being written now, are left
    out: the listing may still show their state before that.
    """
    rows = await db.fetch(
        """
        SELECT e.subject, e.generation, e.external_id, e.content, e.data FROM external AS e
          JOIN work AS w ON w.kind = e.kind AND w.subject = e.subject
         WHERE e.account_id = $1 AND e.kind = 'google-event' AND e.connection_id = $2
           AND e.data ->> 'calendar' = $3 AND e.state = 'live' AND e.at < $4
           AND ($5::text[] IS NULL OR e.external_id = ANY ($5)) AND e.content IS NOT NULL
           AND w.status = 'done' AND w.lease_token IS NULL
        """,
        feed.account_id,
        feed.connection_id,
        feed.remote_calendar,
        since,
        None if ids is None else list(ids),
    )
    return [
        WatchedEvent(
            subject=row["subject"],
            generation=row["generation"],
            event_id=row["external_id"],
            draft=EventDraft.from_json(row["content"]),
            drift=row["data"].get("drift"),
        )
        for row in rows
    ]


async def update_drift(db: Tx, account_id: str, event: WatchedEvent, drift: str | None) -> None:
    """Store how the event differs from what we wrote; None: it does not differ (any more)."""
    await db.execute(
        """
        UPDATE external
           SET data = CASE WHEN $4::text IS NULL THEN data - 'drift'
                           ELSE data || jsonb_build_object('drift', $4::text) END
         WHERE account_id = $1 AND kind = 'google-event' AND subject = $2 AND generation = $3
        """,
        account_id,
        event.subject,
        event.generation,
        drift,
    )
