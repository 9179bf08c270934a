"""An OAuth provider: its authorization URL, and the calls to its token endpoint (RFC 6749)."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote_plus, urlencode

from aiohttp import ClientError, ClientPayloadError, ClientSession, ClientTimeout, StreamReader
from pydantic import BaseModel, Field, SecretStr, ValidationError

from hoop_platform.providers.errors import GrantRefused, ProviderDown

_LARGEST_ANSWER = 64 * 1024
_GRANT_ENDED = {"invalid_grant": "reconnect_needed"}
_CODE_REFUSED = dict.fromkeys(("invalid_grant", "invalid_request"), "declined")


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
    timeout: float = 10.0
    """Seconds for one call to the token endpoint, from connecting to the last byte."""

    @property
    def needed(self) -> frozenset[str]:
        return frozenset(self.scopes if self.needs is None else self.needs)

    def authorization_url(self, *, state: str, verifier: str, redirect_uri: str) -> str:
        """The URL to send the user's browser to."""
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            **({"scope": " ".join(self.scopes)} if self.scopes else {}),
            **self.authorize_params,
        }
        return f"{self.authorize_url}?{urlencode(query)}"


@dataclass(frozen=True)
class Grant:
    """Tokens from a response of the token endpoint; `repr` shows none of them."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    lifetime: timedelta
    scopes: frozenset[str] | None
    """Granted scopes; None if absent, which means as requested (RFC 6749, 5.1)."""

    def fresh_until(self, now: datetime) -> datetime:
        """Until when to use the access token: a minute early, less for tokens of few minutes."""
        return now + self.lifetime - min(timedelta(minutes=1), self.lifetime / 10)


class _TokenResponse(BaseModel):
    access_token: str = Field(min_length=1, max_length=16_384)
    refresh_token: str | None = Field(None, min_length=1, max_length=16_384)
    expires_in: int = Field(3600, gt=0, le=366 * 86_400)
    scope: str | None = None

    def as_grant(self) -> Grant:
        scopes = None if self.scope is None else frozenset(self.scope.split())
        lifetime = timedelta(seconds=self.expires_in)
        return Grant(self.access_token, self.refresh_token, lifetime, scopes)


def challenge(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636, section 4.2)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def exchange(
    http: ClientSession, provider: OAuthProvider, *, code: str, verifier: str, redirect_uri: str
) -> Grant:
    """Trade an authorization code for tokens. Raises `GrantRefused`, `ProviderDown`."""
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    form["redirect_uri"] = redirect_uri
    return await _ask(http, provider, form, definitive=_CODE_REFUSED)


async def refresh(http: ClientSession, provider: OAuthProvider, *, refresh_token: str) -> Grant:
    """Trade a refresh token for new tokens. Raises `GrantRefused`, `ProviderDown`.

    After a `ProviderDown` the provider may or may not have rotated the token: one that rotates strictly
    (Zoom) will refuse the next try, and the user has to connect again.
    """
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    return await _ask(http, provider, form, definitive={**_GRANT_ENDED, **provider.refusals})


async def revoke(http: ClientSession, provider: OAuthProvider, *, token: str) -> None:
    """Revoke a grant (RFC 7009). Raises `ProviderDown` if the outcome is unknown."""
    if provider.revoke_url is None:
        return
    status, _, _ = await _post(http, provider, provider.revoke_url, {"token": token})
    if status not in (200, 400):  # 400: the token is unknown there, which is the goal
        raise ProviderDown(f"{provider.name} answered {status} to a revocation")


async def _ask(
    http: ClientSession,
    provider: OAuthProvider,
    form: dict[str, str],
    *,
    definitive: Mapping[str, str],
) -> Grant:
    status, body, retry_after = await _post(http, provider, provider.token_url, form)
    if status == 200:
        try:
            return _TokenResponse.model_validate_json(body).as_grant()
        except ValidationError:
            # Without a cause: a validation error quotes its input, and this input holds tokens.
            raise ProviderDown(f"{provider.name} sent an unreadable token response") from None
    if status in (400, 401, 403):
        _raise_if_definitive(body, definitive)
    raise ProviderDown(
        f"{provider.name} answered {status} to {form['grant_type']}", retry_after=retry_after
    )


def _raise_if_definitive(body: bytes, definitive: Mapping[str, str]) -> None:
    """Raise `GrantRefused` for a definitive error code, which each provider puts into another field."""
    try:
        said = json.loads(body)
    except ValueError:
        return
    if not isinstance(said, dict):
        return
    for name in ("code", "errorCode", "error_code", "error"):
        if (reason := definitive.get(str(said.get(name)))) is not None:
            raise GrantRefused(reason)


async def _post(
    http: ClientSession, provider: OAuthProvider, url: str, form: dict[str, str]
) -> tuple[int, bytes, timedelta | None]:
    headers = {"Accept": "application/json"}
    secret = provider.client_secret.get_secret_value()
    if provider.client_auth == "basic":
        pair = f"{quote_plus(provider.client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    else:
        form = {**form, "client_id": provider.client_id, "client_secret": secret}
    timeout = ClientTimeout(total=provider.timeout)
    try:
        async with http.post(
            url, data=form, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            body = await _read(answer.content)
            return answer.status, body, _seconds(answer.headers.get("Retry-After"))
    except (ClientError, TimeoutError, OSError) as error:
        raise ProviderDown(f"{provider.name} did not answer: {type(error).__name__}") from error


async def _read(content: StreamReader) -> bytes:
    """The body of a response, if it is not longer than a token response can be."""
    body = bytearray()
    async for chunk in content.iter_chunked(_LARGEST_ANSWER):
        body += chunk
        if len(body) > _LARGEST_ANSWER:
            raise ClientPayloadError("far too long for a token response")
    return bytes(body)


def _seconds(text: str | None) -> timedelta | None:
    return timedelta(seconds=int(text)) if text and text.isascii() and text.isdigit() else None
