"""The table `demo`: which entities `bootstrap` has created, by the name of the part they play."""

from hoop_platform.db.database import Tx

BOOTSTRAP_LOCK = 727_010


async def lock_bootstrap(db: Tx) -> None:
    """Let one `bootstrap` run at a time, until the transaction ends."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", BOOTSTRAP_LOCK)


async def list_parts(db: Tx) -> dict[str, tuple[str, str]]:
    """The parts created so far: `(account id, id)` by the name of the part."""
    rows = await db.fetch("SELECT part, account_id, id FROM demo")
    return {row["part"]: (row["account_id"], row["id"]) for row in rows}


async def upsert_part(db: Tx, part: str, account_id: str, entity_id: str) -> None:
    """Note the entity that plays this part from now on."""
    await db.execute(
        """
        INSERT INTO demo (part, account_id, id) VALUES ($1, $2, $3)
        ON CONFLICT (part) DO UPDATE SET account_id = $2, id = $3
        """,
        part,
        account_id,
        entity_id,
    )
