"""How much of a provider user's day has been spent: counted before each call, across replicas."""

from datetime import date

from hoop_platform.db.database import Tx

DAY = 727_012


async def spend(
    db: Tx, account_id: str, provider: str, provider_user: str, *, day: date, allowance: int
) -> bool:
    """Count one more call, if `allowance` is not used up; commit this before calling.

    The limit is the provider's for its user: calls for several accounts of ours add up.
    """
    await db.execute(
        "SELECT pg_advisory_xact_lock($1, hashtext($2))", DAY, f"{provider} {provider_user}"
    )
    spent = await db.fetchval(
        """
        INSERT INTO ledger AS l (account_id, provider, provider_user, day, calls)
        SELECT $1, $2, $3, $4, 1
          FROM (SELECT coalesce(sum(calls), 0) AS calls, coalesce(bool_or(closed), false) AS closed
                  FROM ledger WHERE provider = $2 AND provider_user = $3 AND day = $4) AS until_now
         WHERE until_now.calls < $5 AND NOT until_now.closed
        ON CONFLICT (provider, provider_user, day, account_id) DO UPDATE SET calls = l.calls + 1
        RETURNING true
        """,
        account_id,
        provider,
        provider_user,
        day,
        allowance,
    )
    return spent is not None


async def close_day(
    db: Tx, account_id: str, provider: str, provider_user: str, *, day: date
) -> None:
    """The provider says that its user has nothing left: others spend there, too."""
    await db.execute(
        """
        INSERT INTO ledger (account_id, provider, provider_user, day, closed)
        VALUES ($1, $2, $3, $4, true)
        ON CONFLICT (provider, provider_user, day, account_id) DO UPDATE SET closed = true
        """,
        account_id,
        provider,
        provider_user,
        day,
    )
