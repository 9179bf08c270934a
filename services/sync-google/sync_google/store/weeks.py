"""The busy weeks as they were last announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hoop_platform.db.database import Row, Tx
from sync_google.domain import Interval


@dataclass(frozen=True)
class Week:
    """One week of one connection; `sequence` counts its announcements."""

    account_id: str
    connection_id: str
    week: str
    calendar_id: str
    user_id: str | None
    intervals: Sequence[Interval]
    sequence: int


async def weeks(db: Tx, account_id: str, connection_id: str) -> dict[str, Week]:
    """All weeks ever announced, by name."""
    rows = await db.fetch(
        "SELECT * FROM busy_week WHERE account_id = $1 AND connection_id = $2 ORDER BY week",
        account_id,
        connection_id,
    )
    return {row["week"]: _week(row) for row in rows}


def _week(row: Row) -> Week:
    pairs = [(datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in row["intervals"]]
    return Week(**{**dict(row), "intervals": pairs})


async def save_week(db: Tx, said: Week) -> None:
    """Remember what is announced in this transaction."""
    await db.execute(
        """
        INSERT INTO busy_week (account_id, connection_id, week, calendar_id, user_id, intervals,
                               sequence)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (account_id, connection_id, week) DO UPDATE
           SET calendar_id = $4, user_id = $5, intervals = $6, sequence = $7
        """,
        said.account_id,
        said.connection_id,
        said.week,
        said.calendar_id,
        said.user_id,
        [(start.isoformat(), end.isoformat()) for start, end in said.intervals],
        said.sequence,
    )
