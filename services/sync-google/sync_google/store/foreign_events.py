"""Table `foreign_event`: other people's events that block time in a connected Google calendar."""

from collections.abc import Collection, Mapping

from hoop_platform.db.database import Tx
from sync_google.domain.busy import Interval, Window
from sync_google.store.feeds import Feed


async def upsert_foreign_events(db: Tx, feed: Feed, blocking: Mapping[str, Interval]) -> None:
    """Store the intervals of events that block time, by their Google ids."""
    await db.executemany(
        """
        INSERT INTO foreign_event (account_id, connection_id, id, starts_at, ends_at)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, connection_id, id) DO UPDATE SET starts_at = $4, ends_at = $5
        """,
        [(feed.account_id, feed.connection_id, name, *during) for name, during in blocking.items()],
    )


async def delete_foreign_events(db: Tx, feed: Feed, ids: Collection[str]) -> None:
    """Delete the events of these ids: they block no time any more."""
    await db.execute(
        """
        DELETE FROM foreign_event
         WHERE account_id = $1 AND connection_id = $2 AND id = ANY ($3::text[])
        """,
        feed.account_id,
        feed.connection_id,
        list(ids),
    )


async def delete_other_foreign_events(db: Tx, feed: Feed, ids: Collection[str]) -> None:
    """Delete all events but these: a full listing leaves deleted events out."""
    await db.execute(
        """
        DELETE FROM foreign_event
         WHERE account_id = $1 AND connection_id = $2 AND NOT id = ANY ($3::text[])
        """,
        feed.account_id,
        feed.connection_id,
        list(ids),
    )


async def list_busy_intervals(db: Tx, feed: Feed, window: Window) -> list[Interval]:
    """The intervals of all stored events that overlap the window."""
    rows = await db.fetch(
        """
        SELECT starts_at, ends_at FROM foreign_event
         WHERE account_id = $1 AND connection_id = $2 AND ends_at > $3 AND starts_at < $4
        """,
        feed.account_id,
        feed.connection_id,
        window.start,
        window.end,
    )
    return [(row["starts_at"], row["ends_at"]) for row in rows]
