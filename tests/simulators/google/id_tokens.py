"""Google's ID tokens (OpenID Connect): RS256, `at_hash`, keys that are published and rotated.

The tokens and the keys are as in Google's guide "OpenID Connect": `azp` is the client, `email` comes
with the scope `email`, `hd` with the account of an organization; two keys are published at a time.
"""

import base64
import hashlib
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from simulators.google.knobs import GoogleKnobs
from simulators.oauth import UserGrant

LIFETIME = timedelta(hours=1)
FULL_SCOPE_NAMES = {
    part: f"https://www.googleapis.com/auth/userinfo.{part}" for part in ("email", "profile")
}
"""Google names these two scopes in full in its responses."""
Jwk = dict[str, Any]


@lru_cache(maxsize=8)
def _new_key(number: int) -> Jwk:
    """A key pair; the simulators of one process share it, since making one takes 0.1 s."""
    key = RSAKey.generate_key(2048, {"alg": "RS256", "use": "sig"}, auto_kid=True)
    return dict(key.as_dict(private=True))


class SigningKeys:
    """The key that signs, and its predecessor; after `rotate` a new one signs."""

    def __init__(self) -> None:
        self._number = 0
        self._keys: list[Jwk] = []

    @property
    def _current(self) -> list[Jwk]:
        if not self._keys:
            self._keys = [_new_key(self._number)]
        return self._keys

    def rotate(self) -> None:
        predecessor = self._current[-1]
        self._number += 1
        self._keys = [predecessor, _new_key(self._number)]

    def published(self) -> Any:
        """The JSON Web Key Set: public keys only."""
        return KeySet([RSAKey.import_key(key) for key in self._current]).as_dict(private=False)

    def sign(self, claims: dict[str, Any]) -> str:
        key = RSAKey.import_key(self._current[-1])
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def id_token_claims(
    grant: UserGrant,
    access_token: str,
    *,
    issuer: str,
    nonce: str | None,
    knobs: GoogleKnobs,
    now: datetime,
) -> dict[str, Any]:
    """What Google says of the user who consented; `nonce` is that of the authorize request."""
    half = hashlib.sha256(access_token.encode()).digest()[:16]
    claims: dict[str, Any] = {
        "iss": issuer,
        "azp": knobs.client_id,
        "aud": knobs.client_id,
        "sub": str(int.from_bytes(hashlib.sha256(grant.user.encode()).digest()[:8], "big")),
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    if FULL_SCOPE_NAMES["email"] in grant.scopes:
        domain = grant.user.rpartition("@")[2]
        claims |= {"email": grant.user, "email_verified": True}
        if knobs.workspace and domain != "gmail.com":
            claims["hd"] = domain
    return claims | knobs.id_token_claims
