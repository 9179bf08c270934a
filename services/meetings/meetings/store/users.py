"""The users of each account."""

from hoop_platform.db.database import Database, Tx


async def upsert_user(db: Tx, account_id: str, user_id: str) -> None:
    await db.execute(
        "INSERT INTO app_user (account_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        account_id,
        user_id,
    )


async def delete_user(db: Tx, account_id: str, user_id: str) -> None:
    await db.execute("DELETE FROM app_user WHERE account_id = $1 AND id = $2", account_id, user_id)


async def get_user(db: Database, account_id: str, user_id: str) -> str | None:
    """The user's id, if the account has this user."""
    found: str | None = await db.fetchval(
        "SELECT id FROM app_user WHERE account_id = $1 AND id = $2", account_id, user_id
    )
    return found
