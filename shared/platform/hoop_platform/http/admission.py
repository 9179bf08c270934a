"""Admission control: authenticates a request and counts it against the rate limits."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import web

from hoop_events.accounts import Limits
from hoop_platform import auth
from hoop_platform.auth import Caller
from hoop_platform.clock import Clock
from hoop_platform.errors import TooMany, Unauthorized, Unavailable
from hoop_platform.kafka.global_table import GlobalTables
from hoop_platform.limits.allowance import Allowance, RateLimitStatus
from hoop_platform.limits.limiter import Limiter

RATE_LIMIT_STATUS = web.RequestKey("rate", RateLimitStatus)
"""The caller's rate limit status, which every response carries in its headers."""


@dataclass(frozen=True)
class Admission:
    """Admits requests with a valid key that are within its limits.

    `proxies`: networks whose `X-Forwarded-For` is trusted.
    """

    tables: GlobalTables
    limiter: Limiter
    clock: Clock
    of_address: Limits
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()

    async def admit(self, request: web.Request) -> Caller:
        """The caller, counted; raises `Unauthorized` (then the address is counted) or `TooMany`."""
        header = request.headers.get("Authorization")
        try:
            caller = await auth.authenticate(header, self.tables, now=self.clock.now())
        except Unauthorized:
            await self.admit_anybody(request)
            raise
        await self._spend(request, Allowance(caller.key_id, caller.account_id, caller.limits))
        return caller

    async def admit_anybody(self, request: web.Request) -> None:
        """Count the address; if it cannot be counted the request is admitted, for it gets nothing."""
        try:
            await self._spend(
                request, Allowance.of_address(self._address(request), self.of_address)
            )
        except Unavailable:
            return

    async def _spend(self, request: web.Request, allowance: Allowance) -> None:
        now = self.clock.now()
        request[RATE_LIMIT_STATUS] = RateLimitStatus(
            allowance.limits, now
        )  # for the headers if it cannot be counted
        request[RATE_LIMIT_STATUS] = standing = await self.limiter.spend(allowance, now=now)
        if not standing.allowed:
            raise TooMany

    def _address(self, request: web.Request) -> str:
        """The client's address: the last hop that is not one of our proxies."""
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        address = request.remote or ""
        while self._is_proxy(address) and hops and (hop := hops.pop().strip()):
            address = hop
        return address

    def _is_proxy(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self.proxies)
