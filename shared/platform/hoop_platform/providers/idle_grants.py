"""Grants that nobody uses: refreshed now and then, before their refresh tokens expire at the provider."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import ClientSession

from hoop_platform.db.database import UNAVAILABLE, Database
from hoop_platform.providers.errors import NotConnected, ProviderDown
from hoop_platform.providers.oauth import OAuthProvider
from hoop_platform.providers.tokens import access_token
from hoop_platform.secrets import Cipher
from hoop_platform.telemetry import cause, log

IDLE = timedelta(days=6)
"""Zoom does not document when an unused refresh token expires."""
MOST_OUTAGES = 3
"""So many in a row are the provider's own outage: the round ends, or it would last for hours."""

_RAISED: tuple[type[Exception], ...] = (ProviderDown, *UNAVAILABLE)


@dataclass(frozen=True)
class IdleGrant:
    """A grant that was not used for long, by one of its connections."""

    account_id: str
    id: str
    connection_id: str
    fresh_until: datetime


class IdleGrants:
    """The idle grants at one provider. No grant that fails delays the others.

    A round takes the one idle for longest first, and each at most once. A round that an outage has
    ended is continued by the next one behind the grants that have failed.
    """

    def __init__(
        self, database: Database, http: ClientSession, cipher: Cipher, provider: OAuthProvider
    ) -> None:
        self.provider = provider
        self._database = database
        self._http = http
        self._cipher = cipher
        self._last: IdleGrant | None = None

    async def refresh(self, stop: asyncio.Event, *, now: datetime) -> int:
        """Make a round, until `stop`; returns how many grants were refreshed. Raises `UNAVAILABLE` errors."""
        refreshed = outages = 0
        while outages < MOST_OUTAGES and not stop.is_set():
            self._last = await self._next(now=now)
            if self._last is None:
                break
            try:
                refreshed += await self._refresh(self._last, now=now)
                outages = 0
            except ProviderDown as error:
                outages += 1
                self._log_failure(self._last, error)
        return refreshed

    async def _refresh(self, grant: IdleGrant, *, now: datetime) -> bool:
        """Refresh one grant; False if that is not possible. Raises `ProviderDown`."""
        try:
            await access_token(
                self._database,
                self._http,
                self._cipher,
                self.provider,
                account_id=grant.account_id,
                connection_id=grant.connection_id,
                now=now,
            )
        except _RAISED:
            raise
        except NotConnected as error:
            self._log_failure(grant, error)
            return False
        except Exception as error:  # noqa: BLE001 -- for example, the key that sealed this one was removed
            log.error("idle grant fails", credential=grant.id, error=cause(error), exc_info=error)
            return False
        return True

    def _log_failure(self, grant: IdleGrant, error: Exception) -> None:
        log.warning(
            "idle grant not refreshed",
            provider=self.provider.name,
            credential=grant.id,
            error=cause(error),
        )

    async def _next(self, *, now: datetime) -> IdleGrant | None:
        """The next idle grant of this round; None when there is none left."""
        row = await self._database.fetchrow(
            """
            SELECT k.account_id, k.id, k.fresh_until, c.id AS connection_id
              FROM credential k
              JOIN provider_account c ON k.account_id = c.account_id AND k.id = c.credential_id
             WHERE k.provider = $1 AND k.fresh_until < $2
               AND coalesce(k.resting_until <= clock_timestamp(), true)
               AND ($4::uuid IS NULL OR (k.fresh_until, k.id) > ($3, $4))
             ORDER BY k.fresh_until, k.id LIMIT 1
            """,
            self.provider.name,
            now - IDLE,
            self._last and self._last.fresh_until,
            self._last and self._last.id,
        )
        return IdleGrant(**dict(row)) if row else None
