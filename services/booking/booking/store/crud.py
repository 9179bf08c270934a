"""Schedules, resources, groups and block slots as rows, which hold the state announced last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from asyncpg import Range, UniqueViolationError

from hoop_events.calendars import BlockSlot, CalendarGroup, Resource, Schedule
from hoop_platform.db.database import Database, Tx

Aggregate = TypeVar("Aggregate", Schedule, Resource, CalendarGroup, BlockSlot)

_GET = """
    SELECT state FROM {table} WHERE account_id = $1 AND id = $2 AND deleted_at IS NULL
"""
_GET_LOCATION = "SELECT location_id FROM {table} WHERE account_id = $1 AND id = $2"
_LIST = """
    SELECT state FROM {table}
     WHERE account_id = $1 AND ($2::uuid IS NULL OR location_id = $2) AND state @> $3
       AND deleted_at IS NULL ORDER BY id LIMIT $4 OFFSET $5
"""
_UPSERT = """
    INSERT INTO {table} (account_id, id, location_id, calendar_ids, state)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account_id, id) DO UPDATE
       SET calendar_ids = excluded.calendar_ids, state = excluded.state
"""
_DELETE = "UPDATE {table} SET deleted_at = clock_timestamp() WHERE account_id = $1 AND id = $2"


@dataclass(frozen=True)
class AggregateTable(Generic[Aggregate]):
    """The table of one kind of aggregate, and the model of its state."""

    name: str
    model: type[Aggregate]

    def _sql(self, text: str) -> str:
        return text.replace("{table}", self.name)

    async def get(
        self, db: Tx | Database, account_id: str, aggregate_id: str, *, lock: bool = False
    ) -> Aggregate | None:
        """The state announced last; None for an unknown or deleted aggregate."""
        sql = self._sql(_GET) + (" FOR UPDATE" if lock else "")
        state = await db.fetchval(sql, account_id, aggregate_id)
        return None if state is None else self.model.model_validate(state)

    async def get_location(
        self, db: Tx | Database, account_id: str, aggregate_id: str
    ) -> str | None:
        """The location's id, of a deleted aggregate as well; None if there never was one."""
        found: str | None = await db.fetchval(self._sql(_GET_LOCATION), account_id, aggregate_id)
        return found

    async def list_matching(
        self,
        db: Tx | Database,
        account_id: str,
        fields: Mapping[str, Any],
        *,
        location_id: str | None = None,
        limit: int | None = None,
        skip: int = 0,
    ) -> Sequence[Aggregate]:
        """Those whose JSON contains `fields`, oldest first; of one location, or of all."""
        rows = await db.fetch(self._sql(_LIST), account_id, location_id, dict(fields), limit, skip)
        return [self.model.model_validate(row["state"]) for row in rows]

    async def upsert(
        self, db: Tx, account_id: str, aggregate: Aggregate, calendars: Sequence[str] = ()
    ) -> None:
        """Save a new aggregate, or a changed one whose row is locked by this transaction."""
        state = aggregate.model_dump(mode="json", by_alias=True)
        await db.execute(
            self._sql(_UPSERT),
            account_id,
            aggregate.id,
            aggregate.location_id,
            list(calendars),
            state,
        )

    async def delete(self, db: Tx, account_id: str, aggregate_id: str) -> None:
        """Mark the row as deleted: `get` and `list_matching` do not find it any more."""
        await db.execute(self._sql(_DELETE), account_id, aggregate_id)


schedules = AggregateTable("schedule", Schedule)
resources = AggregateTable("resource", Resource)
groups = AggregateTable("calendar_group", CalendarGroup)
block_slots = AggregateTable("block_slot", BlockSlot)


async def upsert_group(db: Tx, account_id: str, group: CalendarGroup) -> bool:
    """Save the group; False when another group of its location has its slug."""
    try:
        async with db.transaction():
            await groups.upsert(db, account_id, group)
    except UniqueViolationError:
        return False
    return True


async def is_slug_free(db: Tx | Database, account_id: str, location_id: str, slug: str) -> bool:
    """Whether no group of this location has the slug, in capitals or not."""
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


async def upsert_block_slot(db: Tx, account_id: str, block: BlockSlot) -> None:
    """Save a new block slot, or a changed one whose row is locked by this transaction."""
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
