"""The calls made for each provider user on a UTC day, counted by all replicas before each call."""

from datetime import date

from hoop_platform.db.database import Tx

QUOTA_LOCK = 727_012


async def upsert_call(
    db: Tx, account_id: str, provider: str, provider_user: str, *, day: date, allowance: int
) -> bool:
    """Count one more call unless `allowance` is used up; commit before calling the provider.

    Returns whether the call was counted, that is, may be made. The limit is the provider's for its
    user: calls for several accounts of ours add up.
    """
    await db.execute(
        "SELECT pg_advisory_xact_lock($1, hashtext($2))",
        QUOTA_LOCK,
        f"{provider} {provider_user}",
    )
    counted = await db.fetchval(
        """
        INSERT INTO provider_call_quota AS q (account_id, provider, provider_user, day, calls)
        SELECT $1, $2, $3, $4, 1
          FROM (SELECT coalesce(sum(calls), 0) AS calls,
                       coalesce(bool_or(exhausted), false) AS exhausted
                  FROM provider_call_quota
                 WHERE provider = $2 AND provider_user = $3 AND day = $4) AS used
         WHERE used.calls < $5 AND NOT used.exhausted
        ON CONFLICT (provider, provider_user, day, account_id) DO UPDATE SET calls = q.calls + 1
        RETURNING true
        """,
        account_id,
        provider,
        provider_user,
        day,
        allowance,
    )
    return counted is not None


async def upsert_exhausted(
    db: Tx, account_id: str, provider: str, provider_user: str, *, day: date
) -> None:
    """Store that the provider says its user's quota is used up, by other apps as well as by us."""
    await db.execute(
        """
        INSERT INTO provider_call_quota (account_id, provider, provider_user, day, exhausted)
        VALUES ($1, $2, $3, $4, true)
        ON CONFLICT (provider, provider_user, day, account_id) DO UPDATE SET exhausted = true
        """,
        account_id,
        provider,
        provider_user,
        day,
    )
