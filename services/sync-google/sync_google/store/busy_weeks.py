"""Table `busy_week`: each week of a connection as it was last announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hoop_platform.db.database import Row, Tx
from sync_google.domain.busy import Interval


@dataclass(frozen=True)
class AnnouncedWeek:
    """The busy intervals of one week of one connection; `sequence` counts the announcements."""

    account_id: str
    connection_id: str
    week: str
    calendar_id: str
    user_id: str | None
    intervals: Sequence[Interval]
    sequence: int


async def list_busy_weeks(db: Tx, account_id: str, connection_id: str) -> dict[str, AnnouncedWeek]:
    """All weeks ever announced for a connection, by their names."""
    rows = await db.fetch(
        "SELECT * FROM busy_week WHERE account_id = $1 AND connection_id = $2 ORDER BY week",
        account_id,
        connection_id,
    )
    return {row["week"]: _week(row) for row in rows}


def _week(row: Row) -> AnnouncedWeek:
    pairs = [(datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in row["intervals"]]
    return AnnouncedWeek(**{**dict(row), "intervals": pairs})


async def upsert_busy_week(db: Tx, week: AnnouncedWeek) -> None:
    """Store the week that is announced in this transaction."""
    await db.execute(
        """
        INSERT INTO busy_week (account_id, connection_id, week, calendar_id, user_id, intervals,
                               sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (account_id, connection_id, week) DO UPDATE
           SET calendar_id = $4, user_id = $5, intervals = $6, sequence = $7
        """,
        week.account_id,
        week.connection_id,
        week.week,
        week.calendar_id,
        week.user_id,
        [(start.isoformat(), end.isoformat()) for start, end in week.intervals],
        week.sequence,
    )
