"""The routes of API keys: made, listed without their secrets, revoked."""

import secrets
from typing import Any

from accounts import handlers
from accounts.api import models
from accounts.api.rows import READ, WRITE, listed, shown
from accounts.domain import Powers
from accounts.handlers.keys import whole
from accounts.store import KEYS
from hoop_platform.errors import LocationForbidden, NotFound, ScopeMissing
from hoop_platform.http.route import Call, Route
from hoop_platform.ids import new_id


async def create_key(call: Call) -> dict[str, Any]:
    """Make a key that can do no more than the caller's. This answer alone shows it whole."""
    asked, key_id, secret = call.body, new_id(), secrets.token_hex(32)
    powers = Powers(
        scopes=asked.scopes,
        location_ids=asked.location_ids,
        expires_at=asked.expires_at,
        **asked.limits.model_dump(),
    )
    who = {"name": asked.name, "key_id": key_id, "secret": secret, "by": call.caller}
    async with call.runtime.db.transaction() as db:
        row = await handlers.mint(db, powers, **who, now=call.now)
    return {"apiKey": {**shown(row, models.KeyView), "key": whole(key_id, secret)}}


async def list_keys(call: Call) -> dict[str, Any]:
    """The account's keys, revoked ones too, oldest first."""
    return await listed(call, KEYS, "apiKey", models.KeyView)


async def revoke_key(call: Call) -> models.Success:
    """Make a key worthless, within a second, everywhere."""
    async with call.runtime.db.transaction() as db:
        await handlers.revoke(db, call.id("keyId"), by=call.caller, now=call.now)
    return models.Success()


ROUTES = (
    Route(
        "POST",
        "/api-keys",
        create_key,
        scope=WRITE,
        body=models.NewKey,
        reply=models.one("apiKey", models.NewKeyView),
        status=201,
        summary="Create API key",
        description="The answer alone shows the whole key; it is kept nowhere.",
        examples={
            "Reads appointments": {"name": "Report", "scopes": ["calendars/events.readonly"]}
        },
        keyed=False,
        refusals=(ScopeMissing, LocationForbidden),
    ),
    Route(
        "GET",
        "/api-keys",
        list_keys,
        scope=READ,
        query=models.Page,
        reply=models.many("apiKey", models.KeyView),
        summary="List API keys",
    ),
    Route(
        "DELETE",
        "/api-keys/{keyId}",
        revoke_key,
        scope=WRITE,
        reply=models.Success,
        summary="Revoke API key",
        refusals=(NotFound,),
    ),
)
