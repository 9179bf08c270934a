"""Schedules, resources, groups and block slots as rows: what was announced of them last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from asyncpg import Range, UniqueViolationError

from hoop_events.calendars import BlockSlot, CalendarGroup, Resource, Schedule
from hoop_platform.db.database import Database, Tx

Kept = TypeVar("Kept", Schedule, Resource, CalendarGroup, BlockSlot)

_READ = """
    SELECT state FROM kept WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL
"""
_LOCATION = "SELECT location_id FROM kept WHERE account_id = $1 AND id = $2"
_FIND = """
    SELECT state FROM kept
     WHERE account_id = $1 AND ($2::uuid IS NULL OR location_id = $2) AND state @> $3
       AND deleted_at IS NULL ORDER BY id LIMIT $4 OFFSET $5
"""
_SAVE = """
    INSERT INTO kept (account_id, id, location_id, calendar_ids, state) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account_id, id) DO UPDATE
       SET calendar_ids = excluded.calendar_ids, state = excluded.state
"""
_DELETE = "UPDATE kept SET deleted_at = clock_timestamp() WHERE account_id = $1 AND id = $2"


@dataclass(frozen=True)
class Documents(Generic[Kept]):
    """One kind of them: its table and its contract."""

    table: str
    model: type[Kept]

    def _sql(self, text: str) -> str:
        return text.replace("kept", self.table)

    async def read(
        self, db: Tx | Database, account_id: str, document_id: str, *, lock: bool = False
    ) -> Kept | None:
        """As last announced, unless it is unknown here or deleted."""
        sql = self._sql(_READ) + (" FOR UPDATE" if lock else "")
        state = await db.fetchval(sql, account_id, document_id)
        return None if state is None else self.model.model_validate(state)

    async def location(self, db: Tx | Database, account_id: str, document_id: str) -> str | None:
        """Where it stands, or stood before it was deleted; None: there never was one of this id."""
        found: str | None = await db.fetchval(self._sql(_LOCATION), account_id, document_id)
        return found

    async def find(
        self,
        db: Tx | Database,
        account_id: str,
        like: Mapping[str, Any],
        *,
        location_id: str | None = None,
        limit: int | None = None,
        skip: int = 0,
    ) -> Sequence[Kept]:
        """Those whose JSON holds what `like` holds, oldest first; of one location, or of all."""
        sql = self._sql(_FIND)
        rows = await db.fetch(sql, account_id, location_id, dict(like), limit, skip)
        return [self.model.model_validate(row["state"]) for row in rows]

    async def save(
        self, db: Tx, account_id: str, document: Kept, calendars: Sequence[str] = ()
    ) -> None:
        """Save a new or a changed one, whose row is locked by this transaction."""
        state = document.model_dump(mode="json", by_alias=True)
        await db.execute(
            self._sql(_SAVE),
            account_id,
            document.id,
            document.location_id,
            list(calendars),
            state,
        )

    async def delete(self, db: Tx, account_id: str, document_id: str) -> None:
        """It answers as unknown from now on."""
        await db.execute(self._sql(_DELETE), account_id, document_id)


schedules = Documents("schedule", Schedule)
resources = Documents("asset", Resource)
groups = Documents("calendar_group", CalendarGroup)
blocks = Documents("block_slot", BlockSlot)


async def save_group(db: Tx, account_id: str, group: CalendarGroup) -> bool:
    """Save it; False when another group of its location has its slug."""
    try:
        async with db.transaction():
            await groups.save(db, account_id, group)
    except UniqueViolationError:
        return False
    return True


async def slug_is_free(db: Tx | Database, account_id: str, location_id: str, slug: str) -> bool:
    """No group of this location has it, in capitals or not."""
    taken: bool = await db.fetchval(
        """
        SELECT EXISTS (SELECT FROM calendar_group
                        WHERE account_id = $1 AND location_id = $2 AND deleted_at IS NULL
                          AND lower(state ->> 'slug') = lower($3))
        """,
        account_id,
        location_id,
        slug,
    )
    return not taken


async def save_block(db: Tx, account_id: str, block: BlockSlot) -> None:
    """Save a new or a changed block slot, whose row is locked by this transaction."""
    await db.execute(
        """
        INSERT INTO block_slot (account_id, id, location_id, blocks, during, state)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (account_id, id) DO UPDATE
           SET blocks = excluded.blocks, during = excluded.during, state = excluded.state
        """,
        account_id,
        block.id,
        block.location_id,
        block.blocks,
        Range(block.start_time, block.end_time),
        block.model_dump(mode="json", by_alias=True),
    )
