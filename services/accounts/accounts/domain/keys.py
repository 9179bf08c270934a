"""What a key may give: never more than it has, be it scopes, locations, limits or time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from accounts.domain.rows import ApiKey
from hoop_events.accounts import Limits
from hoop_platform.errors import LocationForbidden, ScopeMissing, invalid

UNLIMITED = Limits(per_second=None, per_minute=None, per_day=None)


@dataclass(frozen=True, kw_only=True)
class Powers:
    """What a key is able to do. In a request, what is left out is taken from the key that asks."""

    scopes: tuple[str, ...]
    location_ids: tuple[str, ...] = ()
    per_second: int | None = None
    per_minute: int | None = None
    per_day: int | None = None
    expires_at: datetime | None = None


def grant(asked: Powers, *, by: ApiKey, may: Callable[[str], bool], now: datetime) -> Powers:
    """What `by` gives to a new key; `may` says which scopes it has.

    Raises `ScopeMissing`, `LocationForbidden` or `Invalid` when more is asked than it has.
    """
    for scope in asked.scopes:
        if not may(scope):
            raise ScopeMissing(
                f"The API key cannot give the scope {scope}, which it does not have."
            )
    places = asked.location_ids or by.location_ids
    if by.location_ids and not set(places) <= set(by.location_ids):
        raise LocationForbidden
    return Powers(
        scopes=asked.scopes,
        location_ids=places,
        per_second=_tighter("perSecond", asked.per_second, by.per_second),
        per_minute=_tighter("perMinute", asked.per_minute, by.per_minute),
        per_day=_tighter("perDay", asked.per_day, by.per_day),
        expires_at=_sooner(asked.expires_at, by.expires_at, now),
    )


def _tighter(name: str, asked: int | None, own: int | None) -> int | None:
    if asked is None or own is None:
        return own if asked is None else asked
    if asked > own:
        raise invalid(f"limits.{name}", "too_large", f"must not exceed {own}, the key's own limit")
    return asked


def _sooner(asked: datetime | None, own: datetime | None, now: datetime) -> datetime | None:
    if asked is None:
        return own
    if asked <= now:
        raise invalid("expiresAt", "in_the_past", "must lie in the future")
    if own is not None and asked > own:
        raise invalid("expiresAt", "too_late", "must not lie after the key's own end")
    return asked
