"""API keys, and what one key may give to another: never more scopes, locations, requests or time than its own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from accounts.domain.entity import Entity
from accounts.domain.fields import NAME
from hoop_events import accounts as events
from hoop_events.accounts import Limits
from hoop_platform.errors import LocationForbidden, ScopeMissing, invalid

UNLIMITED = Limits(per_second=None, per_minute=None, per_day=None)


@dataclass(frozen=True, kw_only=True)
class ApiKeyEntity(Entity):
    """A key without its secret. A limit of None does not limit; no locations: all of the account's."""

    rules = {"name": NAME.or_empty()}
    state_type = events.ApiKey
    changed_event = events.ApiKeyChanged

    name: str = ""
    digest: str
    scopes: tuple[str, ...]
    location_ids: tuple[str, ...] = ()
    per_second: int | None
    per_minute: int | None
    per_day: int | None
    active: bool = True
    expires_at: datetime | None = None

    @property
    def member_of(self) -> tuple[str, ...]:
        return self.location_ids

    @property
    def limits(self) -> Limits:
        """How many requests the key may make, in the form of the event contract."""
        return Limits(per_second=self.per_second, per_minute=self.per_minute, per_day=self.per_day)


@dataclass(frozen=True, kw_only=True)
class KeyPermissions:
    """What a key may do. In a request, a field left out is taken from the caller's key."""

    scopes: tuple[str, ...]
    location_ids: tuple[str, ...] = ()
    per_second: int | None = None
    per_minute: int | None = None
    per_day: int | None = None
    expires_at: datetime | None = None


def grant(
    requested: KeyPermissions, *, by: ApiKeyEntity, may: Callable[[str], bool], now: datetime
) -> KeyPermissions:
    """The permissions that the key `by` gives to a new key; `may` says which scopes `by` has.

    Raises `ScopeMissing`, `LocationForbidden` or `Invalid` if more is requested than `by` has.
    """
    for scope in requested.scopes:
        if not may(scope):
            raise ScopeMissing(
                f"The API key cannot give the scope {scope}, which it does not have."
            )
    location_ids = requested.location_ids or by.location_ids
    if by.location_ids and not set(location_ids) <= set(by.location_ids):
        raise LocationForbidden
    return KeyPermissions(
        scopes=requested.scopes,
        location_ids=location_ids,
        per_second=_lower_limit("perSecond", requested.per_second, by.per_second),
        per_minute=_lower_limit("perMinute", requested.per_minute, by.per_minute),
        per_day=_lower_limit("perDay", requested.per_day, by.per_day),
        expires_at=_earlier_end(requested.expires_at, by.expires_at, now),
    )


def _lower_limit(name: str, requested: int | None, own: int | None) -> int | None:
    if requested is None or own is None:
        return own if requested is None else requested
    if requested > own:
        raise invalid(f"limits.{name}", "too_large", f"must not exceed {own}, the key's own limit")
    return requested


def _earlier_end(
    requested: datetime | None, own: datetime | None, now: datetime
) -> datetime | None:
    if requested is None:
        return own
    if requested <= now:
        raise invalid("expiresAt", "in_the_past", "must lie in the future")
    if own is not None and requested > own:
        raise invalid("expiresAt", "too_late", "must not lie after the key's own end")
    return requested
