"""What `bootstrap` has made for the demonstration."""

from hoop_platform.db.database import Tx

ONE_AT_A_TIME = 727_010  # of the advisory lock


async def alone(db: Tx) -> None:
    """Only one `bootstrap` at a time, until the transaction ends."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", ONE_AT_A_TIME)


async def parts(db: Tx) -> dict[str, tuple[str, str]]:
    """What `bootstrap` has made: `(account id, id)` by the name of the part."""
    rows = await db.fetch("SELECT part, account_id, id FROM demo")
    return {row["part"]: (row["account_id"], row["id"]) for row in rows}


async def remember(db: Tx, part: str, account_id: str, row_id: str) -> None:
    """`bootstrap` has made this."""
    await db.execute(
        """
        INSERT INTO demo (part, account_id, id) VALUES ($1, $2, $3)
        ON CONFLICT (part) DO UPDATE SET account_id = $2, id = $3
        """,
        part,
        account_id,
        row_id,
    )
