"""Table `calendar`: our calendars as booking announced them; only these may be connected."""

from collections.abc import Sequence
from dataclasses import dataclass

from hoop_platform.db.database import Database, Tx


@dataclass(frozen=True)
class StoredCalendar:
    """A calendar of ours; `members` are user ids."""

    account_id: str
    id: str
    location_id: str
    members: Sequence[str]


async def get_calendar(
    db: Tx | Database, account_id: str, calendar_id: str
) -> StoredCalendar | None:
    row = await db.fetchrow(
        "SELECT * FROM calendar WHERE account_id = $1 AND id = $2", account_id, calendar_id
    )
    return StoredCalendar(**dict(row)) if row else None


async def upsert_calendar(db: Tx, calendar: StoredCalendar) -> None:
    await db.execute(
        """
        INSERT INTO calendar (account_id, id, location_id, members) VALUES ($1, $2, $3, $4)
        ON CONFLICT (account_id, id) DO UPDATE SET location_id = $3, members = $4
        """,
        calendar.account_id,
        calendar.id,
        calendar.location_id,
        list(calendar.members),
    )


async def delete_calendar(db: Tx, account_id: str, calendar_id: str) -> None:
    await db.execute(
        "DELETE FROM calendar WHERE account_id = $1 AND id = $2", account_id, calendar_id
    )
