"""The users of each account, and the provider account of a user who hosts sessions."""

from hoop_platform.db.database import Database, Tx
from hoop_platform.providers.provider_accounts import list_provider_accounts
from meetings.domain.sessions import HostAccount


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


async def get_host_account(
    db: Tx | Database, account_id: str, provider: str, host: str
) -> HostAccount | None:
    """The host's provider account that is not disconnected, without its tokens."""
    accounts = await list_provider_accounts(
        db, account_id, provider=provider, owner_kind="user", owner_id=host
    )
    if not accounts:
        return None
    first = accounts[0]
    return HostAccount(
        connection_id=first.id,
        active=first.status == "active",
        reason=first.reason,
        external_id=first.external_id,
        sequence=first.sequence,
    )
