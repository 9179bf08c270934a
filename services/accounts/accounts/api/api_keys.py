"""`/api-keys`: keys are created, listed without their secrets, and revoked."""

import secrets
from typing import Annotated, Any

from pydantic import Field

from accounts.api import schemas
from accounts.api.collection import READ, WRITE, as_json, list_page
from accounts.domain.api_keys import KeyPermissions
from accounts.handlers import api_keys
from accounts.store.api_keys import API_KEYS
from hoop_events.accounts import Limits
from hoop_events.base import Moment
from hoop_platform.errors import LocationForbidden, NotFound, ScopeMissing
from hoop_platform.http.parse import Body
from hoop_platform.http.route import Call, Route
from hoop_platform.ids import new_id

Limit = Annotated[int, Field(ge=1, le=1_000_000_000)]


class ApiKeyView(schemas.EntityView):
    name: str
    scopes: tuple[str, ...]
    location_ids: schemas.LocationIds
    limits: Limits
    active: bool
    expires_at: Moment | None


class NewApiKeyView(ApiKeyView):
    """The only view that shows the whole key."""

    key: str


class RequestedLimits(Body):
    per_second: Limit | None = None
    per_minute: Limit | None = None
    per_day: Limit | None = None


class NewApiKey(Body):
    """What is left out is taken from the caller's key; more than the caller's key has is refused."""

    name: str = ""
    scopes: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    location_ids: schemas.LocationIds = ()
    limits: RequestedLimits = RequestedLimits()
    expires_at: Moment | None = None


async def create_api_key(call: Call[NewApiKey]) -> dict[str, Any]:
    """Create a key that may do no more than the caller's. This response alone shows the whole key."""
    body, key_id, secret = call.body, new_id(), secrets.token_hex(32)
    requested = KeyPermissions(
        scopes=body.scopes,
        location_ids=body.location_ids,
        expires_at=body.expires_at,
        **body.limits.model_dump(),
    )
    async with call.runtime.db.transaction() as db:
        created = await api_keys.create_api_key(
            db,
            requested,
            name=body.name,
            key_id=key_id,
            secret=secret,
            by=call.caller,
            now=call.now,
        )
    key = api_keys.format_api_key(key_id, secret)
    return {"apiKey": {**as_json(created, ApiKeyView), "key": key}}


async def list_api_keys(call: Call[None, schemas.PageQuery]) -> dict[str, Any]:
    """One page of the account's keys, revoked ones included, oldest first."""
    return await list_page(call, API_KEYS.list, "apiKey", ApiKeyView)


async def revoke_api_key(call: Call) -> schemas.SuccessResponse:
    """Deactivate a key; every service refuses it within a second."""
    async with call.runtime.db.transaction() as db:
        await api_keys.revoke_api_key(db, call.id("keyId"), by=call.caller, now=call.now)
    return schemas.SuccessResponse()


ROUTES = (
    Route(
        "POST",
        "/api-keys",
        create_api_key,
        scope=WRITE,
        body=NewApiKey,
        reply=schemas.entity_response("apiKey", NewApiKeyView),
        status=201,
        summary="Create API key",
        description="This response alone shows the whole key; it is stored nowhere.",
        examples={
            "Reads appointments": {"name": "Report", "scopes": ["calendars/events.readonly"]}
        },
        keyed=False,
        refusals=(ScopeMissing, LocationForbidden),
    ),
    Route(
        "GET",
        "/api-keys",
        list_api_keys,
        scope=READ,
        query=schemas.PageQuery,
        reply=schemas.list_response("apiKey", ApiKeyView),
        summary="List API keys",
    ),
    Route(
        "DELETE",
        "/api-keys/{keyId}",
        revoke_api_key,
        scope=WRITE,
        reply=schemas.SuccessResponse,
        summary="Revoke API key",
        refusals=(NotFound,),
    ),
)
