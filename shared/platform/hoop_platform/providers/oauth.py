"""OAuth 2.0 with a provider (RFC 6749): authlib writes the requests and reads the token responses.

Ours are HTTP with its bounds, the bounds of what a provider sends, and what each outcome means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote_plus

from aiohttp import ClientSession
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.client import DEFAULT_HEADERS, OAuth2Client
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oauth2.rfc7009 import prepare_revoke_token_request
from pydantic import BaseModel, Field, SecretStr

from hoop_platform.providers.bounded_http import ServerResponse, send_to_authorization_server
from hoop_platform.providers.errors import GrantRefused, ProviderDown
from hoop_platform.providers.id_tokens import Identity, IdTokenIssuer, nonce, verify_id_token

_GRANT_ENDED = {"invalid_grant": "reconnect_needed"}
_CODE_REFUSED = dict.fromkeys(("invalid_grant", "invalid_request"), "declined")
_ERROR_FIELDS = ("code", "errorCode", "error_code", "error")


@dataclass(frozen=True)
class OAuthProvider:
    """The endpoints and rules of one provider. PKCE S256 is always used (RFC 9700)."""

    name: str
    authorize_url: str
    token_url: str
    client_id: str
    client_secret: SecretStr
    scopes: tuple[str, ...] = ()
    """Requested scopes; empty if the provider takes them from its app registration."""
    needs: tuple[str, ...] | None = None
    """Scopes without which a connection is refused; by default all requested ones."""
    revoke_url: str | None = None
    client_auth: Literal["basic", "body"] = "basic"
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    issuer: str | None = None
    """Compared with `iss` of the callback if both are present (RFC 9207, against mix-up)."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """The provider's own error codes that end a grant → the connection's reason."""
    id_tokens: IdTokenIssuer | None = None
    """Set if the requested scopes contain `openid`: who issues the ID tokens."""
    timeout: float = 10.0
    """Seconds for one call to the token endpoint, from connecting to the last byte."""

    @property
    def needed(self) -> frozenset[str]:
        return frozenset(self.scopes if self.needs is None else self.needs)

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str) -> str:
        """The URL to send the user's browser to."""
        client = OAuth2Client(None, self.client_id, scope=self.scopes, code_challenge_method="S256")
        url: str = client.create_authorization_url(
            self.authorize_url,
            state=state,
            code_verifier=verifier,
            redirect_uri=redirect_uri,
            nonce=nonce(verifier) if self.id_tokens else None,
            **self.authorize_params,
        )[0]
        return url


@dataclass(frozen=True)
class Grant:
    """Tokens from a response of the token endpoint; `repr` shows none of them."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    lifetime: timedelta
    scopes: frozenset[str] | None
    """Granted scopes; None if absent, which means as requested (RFC 6749, 5.1)."""
    id_token: str | None = field(default=None, repr=False)

    def fresh_until(self, now: datetime) -> datetime:
        """Until when to use the access token: a minute early, less for tokens of few minutes."""
        return now + self.lifetime - min(timedelta(minutes=1), self.lifetime / 10)


class _TokenResponse(BaseModel):
    access_token: str = Field(min_length=1, max_length=16_384)
    refresh_token: str | None = Field(None, min_length=1, max_length=16_384)
    expires_in: int = Field(3600, gt=0, le=366 * 86_400)
    scope: str | None = None
    id_token: Any = None  # judged by `verify_id_token`, and only where one is used

    def as_grant(self) -> Grant:
        scopes = None if self.scope is None else frozenset(self.scope.split())
        lifetime = timedelta(seconds=self.expires_in)
        id_token = None if self.id_token is None else str(self.id_token)
        return Grant(self.access_token, self.refresh_token, lifetime, scopes, id_token)


async def exchange(
    http: ClientSession, provider: OAuthProvider, *, code: str, verifier: str, redirect_uri: str
) -> Grant:
    """Trade an authorization code for tokens. Raises `GrantRefused`, `ProviderDown`."""
    body = prepare_token_request(
        "authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=verifier
    )
    return await _request_grant(http, provider, body, definitive=_CODE_REFUSED)


async def refresh(http: ClientSession, provider: OAuthProvider, *, refresh_token: str) -> Grant:
    """Trade a refresh token for new tokens. Raises `GrantRefused`, `ProviderDown`.

    After a `ProviderDown` the provider may or may not have rotated the token: one that rotates strictly
    (Zoom) will refuse the next try, and the user has to connect again.
    """
    body = prepare_token_request("refresh_token", refresh_token=refresh_token)
    definitive = {**_GRANT_ENDED, **provider.refusals}
    return await _request_grant(http, provider, body, definitive=definitive)


async def identity_from_id_token(
    http: ClientSession, provider: OAuthProvider, grant: Grant, *, verifier: str, now: datetime
) -> Identity | None:
    """Whom the grant's ID token names; None without one. Raises `IdTokenRefused`, `ProviderDown`."""
    if provider.id_tokens is None or grant.id_token is None:
        return None
    claims = await verify_id_token(
        http,
        provider.id_tokens,
        grant.id_token,
        client_id=provider.client_id,
        verifier=verifier,
        access_token=grant.access_token,
        timeout=provider.timeout,
        now=now,
    )
    return provider.id_tokens.identity(claims)


async def revoke(http: ClientSession, provider: OAuthProvider, *, token: str) -> None:
    """Revoke a grant (RFC 7009). Raises `ProviderDown` if the outcome is unknown."""
    if provider.revoke_url is None:
        return
    body, _ = prepare_revoke_token_request(token)
    response = await _post(http, provider, provider.revoke_url, body)
    if response.status_code != 400:  # 400: the token is unknown there, which is the goal
        response.raise_for_status()


async def _request_grant(
    http: ClientSession, provider: OAuthProvider, body: str, *, definitive: Mapping[str, str]
) -> Grant:
    response = await _post(http, provider, provider.token_url, body)
    if response.status_code in (400, 401, 403):
        _raise_if_definitive(response, definitive)
    return parse_grant(response)


def parse_grant(response: ServerResponse) -> Grant:
    """The tokens of a response. Raises `ProviderDown`, which quotes nothing of it."""
    response.raise_for_status()  # authlib takes any JSON object without `error` for a token
    try:
        token = OAuth2Client(None).parse_response_token(response)
        return _TokenResponse.model_validate(token).as_grant()
    except (OAuth2Error, ValueError, TypeError, OverflowError):
        # Without a cause: these errors quote their input, and this input holds tokens.
        raise ProviderDown(f"{response.provider} sent an unreadable token response") from None


def _raise_if_definitive(response: ServerResponse, definitive: Mapping[str, str]) -> None:
    """Raise `GrantRefused` for a definitive error code, which each provider puts into another field."""
    try:
        codes = [str(response.json().get(name)) for name in _ERROR_FIELDS]
    except (ValueError, AttributeError):  # not a JSON object
        return
    for code in codes:
        if code in definitive:
            raise GrantRefused(definitive[code])


async def _post(
    http: ClientSession, provider: OAuthProvider, url: str, body: str
) -> ServerResponse:
    url, headers, body = _client_auth(provider).prepare("POST", url, dict(DEFAULT_HEADERS), body)
    request = {"headers": headers, "data": body.encode()}
    return await send_to_authorization_server(
        http, provider.name, "POST", url, timeout=provider.timeout, **request
    )


def _client_auth(provider: OAuthProvider) -> ClientAuth:
    client_id, secret = provider.client_id, provider.client_secret.get_secret_value()
    if provider.client_auth == "body":
        return ClientAuth(client_id, secret, "client_secret_post")
    # In the header both are form-encoded first (RFC 6749, 2.3.1), which authlib does not do.
    return ClientAuth(quote_plus(client_id), quote_plus(secret), "client_secret_basic")
