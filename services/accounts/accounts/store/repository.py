"""A repository: the statements that every table of entities needs, in one class."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic

from accounts.domain.entity import EntityT
from hoop_platform.db.database import Database, Row, Tx


@dataclass(frozen=True)
class Repository(Generic[EntityT]):
    """One table of entities. Every statement is confined to one account.

    `list_sql` takes the account, the id to begin after, the locations to stay within (none: all),
    one location to filter by (or NULL), and a number of rows. `upsert_sql` takes the entity's fields
    in their order.
    """

    name: str
    entity_type: type[EntityT]
    get_sql: str
    upsert_sql: str
    list_sql: str = ""
    delete_sql: str = ""

    async def get(self, db: Tx | Database, account_id: str, entity_id: str) -> EntityT | None:
        """The entity of this id, if the account has one."""
        return self._entity(await db.fetchrow(self.get_sql, account_id, entity_id))

    async def lock(self, db: Tx, account_id: str, entity_id: str) -> EntityT | None:
        """As `get`; no other transaction changes the entity until this one ends."""
        sql = self.get_sql + " FOR UPDATE"
        return self._entity(await db.fetchrow(sql, account_id, entity_id))

    async def lock_for_share(self, db: Tx, account_id: str, entity_id: str) -> EntityT | None:
        """As `lock`; other transactions may hold this lock, too."""
        sql = self.get_sql + " FOR SHARE"
        return self._entity(await db.fetchrow(sql, account_id, entity_id))

    async def list(
        self,
        db: Tx | Database,
        account_id: str,
        *,
        after: str | None,
        within: Collection[str],
        location_id: str | None = None,
        limit: int,
    ) -> Sequence[EntityT]:
        """Up to `limit` entities, oldest first, that a key confined to the locations `within` may see."""
        rows = await db.fetch(self.list_sql, account_id, after, sorted(within), location_id, limit)
        return self.entities(rows)

    async def upsert(self, db: Tx, entity: EntityT) -> None:
        """Store the entity, new or changed."""
        values = (getattr(entity, field.name) for field in fields(entity))
        await db.execute(self.upsert_sql, *values)

    async def delete(self, db: Tx, entity: EntityT, *, now: datetime) -> None:
        """Delete the entity and note that it existed."""
        await db.execute(self.delete_sql, entity.account_id, entity.id)
        await db.execute(
            """
            INSERT INTO deleted (account_id, id, kind, sequence, date_deleted)
            VALUES ($1, $2, $3, $4, $5)
            """,
            entity.account_id,
            entity.id,
            self.name,
            entity.gone.sequence,
            now,
        )

    async def is_deleted(self, db: Tx, account_id: str, entity_id: str) -> bool:
        """Whether an entity of this id and table existed and was deleted."""
        return bool(
            await db.fetchval(
                "SELECT true FROM deleted WHERE account_id = $1 AND id = $2 AND kind = $3",
                account_id,
                entity_id,
                self.name,
            )
        )

    def entities(self, rows: Sequence[Row]) -> Sequence[EntityT]:
        """The entities of rows with all columns of the table."""
        return [self.entity_type(**_values(row)) for row in rows]

    def _entity(self, row: Row | None) -> EntityT | None:
        return None if row is None else self.entity_type(**_values(row))


def _values(row: Row) -> Mapping[str, Any]:
    """The columns by name; arrays as tuples, so that entities can be compared."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
