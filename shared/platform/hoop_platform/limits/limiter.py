"""Counts requests in a database that all services with HTTP share."""

import asyncio
from datetime import datetime

from hoop_platform.db.database import TRANSIENT, Database
from hoop_platform.errors import Unavailable
from hoop_platform.limits.allowance import Allowance, RateLimitStatus
from hoop_platform.timing import every

PURGE_SECONDS = 600.0


class Limiter:
    """Allows requests or not. Callers without limits cost nothing; without the database no other is allowed."""

    def __init__(self, database: Database | None) -> None:
        self._database = database

    async def spend(self, allowance: Allowance, *, now: datetime) -> RateLimitStatus:
        """Count one request. `now` serves the header about midnight; windows go by the database's clock.

        Raises `Unavailable` when it cannot be counted: an unknown limit is not "no limit".
        """
        limits = allowance.limits
        if allowance.unlimited:
            return RateLimitStatus(limits, now)
        if self._database is None:
            raise Unavailable("Requests cannot be counted: LIMITS_DATABASE_URL is not set.")
        try:
            row = await self._database.fetchrow(
                "SELECT * FROM spend($1, $2, $3, $4, $5)",
                allowance.who,
                allowance.account,
                limits.per_second,
                limits.per_minute,
                limits.per_day,
            )
        except TRANSIENT as error:
            raise Unavailable(headers={"Retry-After": "1"}) from error
        assert row is not None
        return RateLimitStatus(
            limits=limits,
            now=now,
            allowed=row["allowed"],
            in_second=row["in_second"],
            in_minute=row["in_minute"],
            on_day=row["on_day"],
            wait=row["wait"],
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Delete old counters periodically until `stop`."""
        if self._database is not None:
            await every(PURGE_SECONDS, self.purge, stop, what="rate limits")

    async def purge(self) -> None:
        """Delete counters that no limit uses any more."""
        assert self._database is not None
        await self._database.execute(
            """
            WITH days AS (DELETE FROM daily_requests WHERE day < (now() AT TIME ZONE 'UTC')::date)
            DELETE FROM recent_requests WHERE (recent[1] > now() - interval '1 hour') IS NOT TRUE
            """
        )
