"""Creates and revokes API keys. The whole key is in memory for one response; the database has its digest."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

from accounts.domain.api_keys import ApiKeyEntity, KeyPermissions, grant
from accounts.handlers import crud
from accounts.store.api_keys import API_KEYS
from hoop_platform.auth import KNOWN_SCOPES, Caller, digest
from hoop_platform.db.database import Tx
from hoop_platform.errors import Detail, Invalid, Unauthorized


def format_api_key(key_id: str, secret: str) -> str:
    """The whole key, as its holder sends it; `secret` is 64 hex digits from 256 random bits."""
    return f"hoop_{key_id}_{secret}"


async def create_api_key(
    db: Tx,
    requested: KeyPermissions,
    *,
    name: str,
    key_id: str,
    secret: str,
    by: Caller,
    now: datetime,
) -> ApiKeyEntity:
    """Create a key that may do no more than the caller's own.

    Raises `Invalid`, `ScopeMissing`, `LocationForbidden`; `Unauthorized` if the caller's own key
    has been revoked meanwhile.
    """
    own = await API_KEYS.lock_for_share(db, by.account_id, by.key_id)
    if own is None or not own.active:
        raise Unauthorized
    requested = replace(requested, scopes=_known_scopes(requested.scopes))
    granted = grant(requested, by=own, may=by.has_scope, now=now)
    api_key = ApiKeyEntity(
        account_id=by.account_id,
        id=key_id,
        name=name,
        digest=digest(format_api_key(key_id, secret)),
        date_added=now,
        date_updated=now,
        **asdict(granted),
    )
    return await crud.create(db, API_KEYS, api_key, by=by, now=now)


async def revoke_api_key(db: Tx, key_id: str, *, by: Caller, now: datetime) -> ApiKeyEntity:
    """Deactivate the key; a repetition changes nothing. Raises `NotFound`."""
    return await crud.update(db, API_KEYS, key_id, {"active": False}, by=by, now=now)


def _known_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """The scopes, each once; raises `Invalid` for those that do not exist."""
    unknown = [
        Detail(f"scopes.{index}", "unknown_scope", "is not a scope", KNOWN_SCOPES)
        for index, scope in enumerate(scopes)
        if scope not in KNOWN_SCOPES
    ]
    if unknown:
        raise Invalid(details=unknown)
    return tuple(dict.fromkeys(scopes))
