"""ID tokens (OpenID Connect Core 1.0): who gave a grant, signed by the provider.

joserfc verifies the signature and the claims; fetching and caching the keys is ours.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from weakref import WeakKeyDictionary

from aiohttp import ClientSession
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.util import urlsafe_b64encode
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hoop_platform.providers.bounded_http import send_to_authorization_server
from hoop_platform.providers.errors import ProviderDown

ALGORITHMS = ("RS256", "ES256")
"""Signatures by public keys only: with HS256, a published key would be the secret."""
LEEWAY = 60
"""Seconds by which the provider's clock may differ from ours."""
KEYS_FRESH = timedelta(hours=1)
REFETCH_AFTER = timedelta(minutes=1)
"""How old the cached keys must be before an unknown key id lets us fetch them again."""
_MAX_TOKEN = 16_384  # characters
_MAX_KEYS = 32


class IdTokenRefused(Exception):
    """The ID token does not prove who gave the grant; the text is an error code, without the token."""


@dataclass(frozen=True)
class Identity:
    """Who connected: the provider's id of the account, and a label for its owner."""

    external_id: str
    label: str


class IdTokenClaims(BaseModel):
    """The verified claims that name a person; `hosted_domain` is Google's `hd`."""

    model_config = ConfigDict(strict=True)

    sub: str = Field(min_length=1, max_length=255)
    aud: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    """We trust no other audience besides ourselves (OpenID Connect Core, 3.1.3.7)."""
    email: str | None = Field(None, min_length=3, max_length=320)
    email_verified: bool = False
    hosted_domain: str | None = Field(None, alias="hd", max_length=255)


@dataclass(frozen=True)
class IdTokenIssuer:
    """Who issues a provider's ID tokens, and whom one names: None if it does not suffice."""

    names: tuple[str, ...]
    """The accepted values of `iss`."""
    jwks_url: str
    identity: Callable[[IdTokenClaims], Identity | None]


@dataclass(frozen=True)
class _CachedKeys:
    keys: KeySet
    fetched_at: datetime


_cache: WeakKeyDictionary[ClientSession, dict[str, _CachedKeys]] = WeakKeyDictionary()
"""The keys by URL, for each HTTP session: a process has one session, and one URL per provider."""


def nonce(verifier: str) -> str:
    """The nonce of an authorization, derived from its code verifier, which it does not reveal."""
    return str(create_s256_code_challenge(f"nonce {verifier}"))


async def verify_id_token(
    http: ClientSession,
    issuer: IdTokenIssuer,
    token: str,
    *,
    client_id: str,
    verifier: str,
    access_token: str,
    timeout: float,
    now: datetime,
) -> IdTokenClaims:
    """The claims of a token issued to us, in this authorization, with this access token.

    Raises `IdTokenRefused`, and `ProviderDown` if the issuer's keys cannot be fetched.
    """
    if len(token) > _MAX_TOKEN:
        raise IdTokenRefused("exceeded_size")
    rules = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY,
        iss={"essential": True, "values": list(issuer.names)},
        sub={"essential": True},
        aud={"essential": True, "value": client_id},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce(verifier)},
        azp={"value": client_id},
        at_hash={"value": _half_hash(access_token)},
    )
    try:
        claims = await _decode(http, issuer.jwks_url, token, timeout=timeout, now=now)
        rules.validate(claims)
        return IdTokenClaims.model_validate(claims)
    except JoseError as error:
        raise IdTokenRefused(error.error) from None
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError):
        raise IdTokenRefused("malformed") from None  # the cause would quote the token


def _half_hash(access_token: str) -> str:
    """`at_hash` with SHA-256, which both algorithms use."""
    return urlsafe_b64encode(hashlib.sha256(access_token.encode()).digest()[:16]).decode()


async def _decode(
    http: ClientSession, url: str, token: str, *, timeout: float, now: datetime
) -> dict[str, Any]:
    """The claims of a token with a valid signature; a key that was not cached is fetched."""
    keys = await _keys(http, url, at_most=KEYS_FRESH, timeout=timeout, now=now)
    try:
        return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
    except InvalidKeyIdError:
        newer = await _keys(http, url, at_most=REFETCH_AFTER, timeout=timeout, now=now)
        if newer is keys:
            raise
        return jwt.decode(token, newer, algorithms=ALGORITHMS).claims


async def _keys(
    http: ClientSession, url: str, *, at_most: timedelta, timeout: float, now: datetime
) -> KeySet:
    """The issuer's keys, cached for `at_most` as long. Raises `ProviderDown`."""
    cached = _cache.setdefault(http, {})
    if (found := cached.get(url)) is not None and abs(now - found.fetched_at) < at_most:
        return found.keys
    response = await send_to_authorization_server(
        http, "the issuer of ID tokens", "GET", url, timeout=timeout
    )
    response.raise_for_status()
    try:
        keys = KeySet.import_key_set({"keys": response.json()["keys"][:_MAX_KEYS]})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise ProviderDown("the issuer of ID tokens sent unreadable keys") from None
    cached[url] = _CachedKeys(keys, now)
    return keys
