"""A shelf: the few ways to ask for the rows of one table, whatever they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar

from accounts.domain import Row
from hoop_platform.db import database as postgres
from hoop_platform.db.database import Database, Tx

R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Shelf(Generic[R]):
    """One table: its rows, and its SQL. Everything is asked within one account.

    `page` takes account, id to begin after, locations to stay within (none: everywhere), one
    location to look at (or NULL), and how many rows. `save_one` takes the fields in the row's order.
    """

    name: str
    kind: type[R]
    one: str
    save_one: str
    page: str = ""
    delete_one: str = ""

    async def find(self, db: Tx | Database, account_id: str, row_id: str) -> R | None:
        """The row of this id."""
        return self._read(await db.fetchrow(self.one, account_id, row_id))

    async def lock(self, db: Tx, account_id: str, row_id: str) -> R | None:
        """The row of this id; nobody else changes it until the transaction ends."""
        return self._read(await db.fetchrow(self.one + " FOR UPDATE", account_id, row_id))

    async def hold(self, db: Tx, account_id: str, row_id: str) -> R | None:
        """The row of this id; it stays as it is until the transaction ends."""
        return self._read(await db.fetchrow(self.one + " FOR SHARE", account_id, row_id))

    async def list(
        self,
        db: Tx | Database,
        account_id: str,
        *,
        after: str | None,
        reach: Collection[str],
        at: str | None = None,
        limit: int,
    ) -> Sequence[R]:
        """Up to `limit` rows, oldest first, that a key of this reach may see."""
        rows = await db.fetch(self.page, account_id, after, sorted(reach), at, limit)
        return [self.kind(**_values(row)) for row in rows]

    async def save(self, db: Tx, row: R) -> None:
        """Keep the row, new or changed."""
        await db.execute(self.save_one, *(getattr(row, field.name) for field in fields(row)))

    async def delete(self, db: Tx, row: R, *, now: datetime) -> None:
        """Forget the row, but not that it was there."""
        await db.execute(self.delete_one, row.account_id, row.id)
        await db.execute(
            """
            INSERT INTO deleted (account_id, id, kind, sequence, date_deleted)
            VALUES ($1, $2, $3, $4, $5)
            """,
            row.account_id,
            row.id,
            self.name,
            row.gone.sequence,
            now,
        )

    async def has_deleted(self, db: Tx, account_id: str, row_id: str) -> bool:
        """Whether a row of this id was here once."""
        return bool(
            await db.fetchval(
                "SELECT true FROM deleted WHERE account_id = $1 AND id = $2 AND kind = $3",
                account_id,
                row_id,
                self.name,
            )
        )

    def _read(self, row: postgres.Row | None) -> R | None:
        return None if row is None else self.kind(**_values(row))


def _values(row: postgres.Row) -> Mapping[str, Any]:
    """The columns by name; arrays as tuples, so that rows can be compared."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
