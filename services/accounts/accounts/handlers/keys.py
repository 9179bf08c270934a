"""Makes and revokes API keys. The whole key is in memory for one answer; the database has its digest."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

from accounts.domain import ApiKey, Powers, grant
from accounts.handlers.rows import add, change
from accounts.store import KEYS
from hoop_platform.auth import KNOWN_SCOPES, Caller, digest
from hoop_platform.db.database import Tx
from hoop_platform.errors import Detail, Invalid, Unauthorized


def whole(key_id: str, secret: str) -> str:
    """The key as its holder sends it; `secret` is 64 hex digits from 256 random bits."""
    return f"hoop_{key_id}_{secret}"


async def mint(
    db: Tx,
    asked: Powers,
    *,
    name: str,
    key_id: str,
    secret: str,
    by: Caller,
    now: datetime,
) -> ApiKey:
    """Make a key that can do no more than the caller's own.

    Raises `Invalid`, `ScopeMissing`, `LocationForbidden`; `Unauthorized` when the caller's own key
    was revoked a moment ago.
    """
    own = await KEYS.hold(db, by.account_id, by.key_id)
    if own is None or not own.active:
        raise Unauthorized
    known = replace(asked, scopes=_known(asked.scopes))
    granted = grant(known, by=own, may=by.may, now=now)
    row = ApiKey(
        account_id=by.account_id,
        id=key_id,
        name=name,
        digest=digest(whole(key_id, secret)),
        date_added=now,
        date_updated=now,
        **asdict(granted),
    )
    return await add(db, KEYS, row, by=by, now=now)


async def revoke(db: Tx, key_id: str, *, by: Caller, now: datetime) -> ApiKey:
    """Make the key worthless; again is fine. Raises `NotFound`."""
    return await change(db, KEYS, key_id, {"active": False}, by=by, now=now)


def _known(scopes: Sequence[str]) -> tuple[str, ...]:
    """The scopes, each once; raises `Invalid` for what is none."""
    unknown = [
        Detail(f"scopes.{index}", "unknown_scope", "is not a scope", KNOWN_SCOPES)
        for index, scope in enumerate(scopes)
        if scope not in KNOWN_SCOPES
    ]
    if unknown:
        raise Invalid(details=unknown)
    return tuple(dict.fromkeys(scopes))
