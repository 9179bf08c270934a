"""Which entities belong to which locations: the checks that no foreign key can make on an array."""

from collections.abc import Collection

from hoop_platform.db.database import Tx


async def lock_locations(db: Tx, account_id: str, location_ids: Collection[str]) -> frozenset[str]:
    """Those of `location_ids` that the account has; none of them is deleted until the transaction ends."""
    rows = await db.fetch(
        """
        SELECT id FROM location WHERE account_id = $1 AND id = ANY($2::uuid[])
         ORDER BY id FOR SHARE
        """,
        account_id,
        list(location_ids),
    )
    return frozenset(row["id"] for row in rows)


async def is_location_in_use(db: Tx, account_id: str, location_id: str) -> bool:
    """Whether a user, a contact or an active key belongs to the location, which must be locked."""
    return bool(
        await db.fetchval(
            """
            SELECT EXISTS (SELECT FROM contact WHERE account_id = $1 AND location_id = $2)
                OR EXISTS (SELECT FROM app_user
                            WHERE account_id = $1 AND location_ids @> ARRAY[$2::uuid])
                OR EXISTS (SELECT FROM api_key
                            WHERE account_id = $1 AND location_ids @> ARRAY[$2::uuid] AND active)
            """,
            account_id,
            location_id,
        )
    )
