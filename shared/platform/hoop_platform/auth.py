"""Authentication by API key, from the global table of keys, and authorization by scope and location."""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hoop_events.accounts import ApiKey, Limits
from hoop_platform.errors import AccountReadOnly, LocationForbidden, ScopeMissing, Unauthorized
from hoop_platform.ids import is_id
from hoop_platform.kafka.global_table import GlobalTables

SCOPES = (
    "calendars.readonly",
    "calendars.write",
    "calendars/events.readonly",
    "calendars/events.write",
)
NARROWER: Mapping[str, str] = {
    f"calendars/{part}.{right}": f"calendars.{right}"
    for part in ("groups", "resources")
    for right in ("readonly", "write")
}
"""Scopes of the vendor's API, each a part of a wider one; they allow only operations that name them."""
KNOWN_SCOPES = (*SCOPES, *NARROWER)

LONGEST_TOKEN = 200
DEFAULT_LIMITS = Limits()
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)  # RFC 6750, b64token


@dataclass(frozen=True)
class Caller:
    """An authenticated API key: its account, scopes, locations and rate limits."""

    account_id: str
    key_id: str
    scopes: frozenset[str]
    location_ids: frozenset[str]
    limits: Limits = DEFAULT_LIMITS

    def has_scope(self, scope: str) -> bool:
        """Whether the key has the scope; a write scope includes reading, a wide scope its parts."""
        enough = {scope, NARROWER.get(scope, scope)}
        enough |= {name.replace(".readonly", ".write") for name in enough}
        return not enough.isdisjoint(self.scopes)

    def reaches(self, location_id: str) -> bool:
        """Whether the key may use the location; a key without locations may use the whole account."""
        return not self.location_ids or location_id in self.location_ids


def digest(token: str) -> str:
    """The stored form of a key, SHA-256 in hex; 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def key_id(token: str) -> str | None:
    """The public part of `hoop_<keyId>_<secret>`."""
    parts = token.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == "hoop" and is_id(parts[1]) else None


def bearer_token(header: str | None) -> str:
    """The token of an `Authorization` header; raises `Unauthorized` for any other form."""
    scheme, _, token = (header or "").partition(" ")
    if (
        scheme.lower() != "bearer"
        or not token
        or len(token) > LONGEST_TOKEN
        or not _TOKEN.fullmatch(token)
    ):
        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})
    return token


async def authenticate(header: str | None, tables: GlobalTables, *, now: datetime) -> Caller:
    """The caller; raises `Unauthorized`. An unknown key is looked up again after a catch-up."""
    token = bearer_token(header)
    public = key_id(token)
    if public is None:
        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})
    found = tables.keys.get(public)
    if found is None and await tables.catch_up():
        found = tables.keys.get(public)
    if found is None or not _valid(found[1], token, now):
        raise Unauthorized(headers={"WWW-Authenticate": "Bearer"})
    account_id, key = found
    return Caller(
        account_id, key.id, frozenset(key.scopes), frozenset(key.location_ids), key.limits
    )


def _valid(key: ApiKey, token: str, now: datetime) -> bool:
    same = hmac.compare_digest(key.digest, digest(token))
    return same and key.active and (key.expires_at is None or now < key.expires_at)


def authorize(caller: Caller, scopes: Sequence[str], tables: GlobalTables, *, writes: bool) -> None:
    """Raise `ScopeMissing` or `AccountReadOnly`; any one of the scopes is enough."""
    if not any(map(caller.has_scope, scopes)):
        raise ScopeMissing(f"The API key needs the scope {' or '.join(scopes)}.")
    account = tables.accounts.get(caller.account_id)
    if writes and account and account[1].status == "read_only":
        raise AccountReadOnly


async def location_zone(caller: Caller, location_id: str, tables: GlobalTables) -> str:
    """The IANA zone of a location of the caller's account; raises `LocationForbidden` for any other id."""
    location = tables.locations.of(caller.account_id, location_id)
    if location is None and await tables.catch_up():
        location = tables.locations.of(caller.account_id, location_id)
    if location is None or not caller.reaches(location_id):
        raise LocationForbidden
    return location.time_zone
