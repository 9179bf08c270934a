"""Rate limits of a caller, and the headers that every response carries about them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil
from typing import Self

from hoop_events.accounts import Limits

UNLIMITED = 1_000_000_000
"""The value of the headers where there is no limit."""
_PER_DAY = timedelta(days=1)
_SUBSCRIBER = 64  # bits of an IPv6 address that one subscriber is given (RFC 6177)


@dataclass(frozen=True)
class Allowance:
    """The counters of a caller: the key's for the short windows, the account's for the day."""

    who: str
    account: str
    limits: Limits

    @classmethod
    def of_address(cls, address: str, limits: Limits) -> Self:
        """For requests without a valid key: one address, of IPv6 one /64."""
        try:
            ip = ip_address(address)
        except ValueError:
            who = "address:unknown"
        else:
            prefix = _SUBSCRIBER if ip.version == 6 else 32
            who = f"address:{ip_network((ip, prefix), strict=False).network_address}"
        return cls(who, who, limits)

    @property
    def unlimited(self) -> bool:
        limits = self.limits
        return limits.per_second is limits.per_minute is limits.per_day is None


@dataclass(frozen=True)
class RateLimitStatus:
    """The outcome of counting a request: allowed or not, what is left, and when to retry."""

    limits: Limits
    now: datetime
    allowed: bool = True
    in_second: int = 0
    in_minute: int = 0
    on_day: int = 0
    wait: timedelta = timedelta()

    def headers(self) -> Mapping[str, str]:
        """The six headers of every response; of the two short windows the one with less left."""
        second = _left(self.limits.per_second, self.in_second)
        minute = _left(self.limits.per_minute, self.in_minute)
        interval, limit, left = (
            (1_000, self.limits.per_second, second)
            if second <= minute
            else (60_000, self.limits.per_minute, minute)
        )
        found = {
            "X-RateLimit-Limit-Daily": _limit_text(self.limits.per_day),
            "X-RateLimit-Daily-Remaining": str(_left(self.limits.per_day, self.on_day)),
            "X-RateLimit-Daily-Reset": str(ceil(_until_midnight(self.now).total_seconds())),
            "X-RateLimit-Interval-Milliseconds": str(interval),
            "X-RateLimit-Max": _limit_text(limit),
            "X-RateLimit-Remaining": str(left),
        }
        return found if self.allowed else found | {"Retry-After": self.retry_after}

    @property
    def retry_after(self) -> str:
        """Whole seconds, at least one."""
        return str(max(1, ceil(self.wait.total_seconds())))


def _limit_text(limit: int | None) -> str:
    return str(UNLIMITED if limit is None else limit)


def _left(limit: int | None, used: int) -> int:
    return UNLIMITED if limit is None else max(0, limit - used)


def _until_midnight(now: datetime) -> timedelta:
    return _PER_DAY - timedelta(
        hours=now.hour, minutes=now.minute, seconds=now.second, microseconds=now.microsecond
    )
