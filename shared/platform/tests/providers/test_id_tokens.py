"""An ID token proves who gave a grant, or it is refused; keys that cannot be had are no refusal."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import RawTestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from hoop_platform.providers.errors import ProviderDown
from hoop_platform.providers.id_tokens import (
    IdTokenClaims,
    IdTokenIssuer,
    IdTokenRefused,
    nonce,
    verify_id_token,
)

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
VERIFIER, ACCESS, CLIENT = "v" * 43, "acc3ss", "hoop"


@cache
def rsa(name: str) -> RSAKey:
    """A key pair of this id."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


def half_hash(text: str) -> str:
    half = hashlib.sha256(text.encode()).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


@dataclass
class Issuer:
    """A server that publishes keys, and signs what it is given."""

    http: ClientSession
    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [rsa("one")])
    published: str | None = None
    """Published instead of the keys, if set."""
    status: int = 200
    fetches: int = 0

    async def publish(self, _: web.BaseRequest) -> web.Response:
        self.fetches += 1
        text = self.published or json.dumps(KeySet(self.keys).as_dict(private=False))
        return web.Response(status=self.status, text=text)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Right claims but for the changes; a change to None removes a claim."""
        right = {
            "iss": self.url,
            "sub": "42",
            "aud": CLIENT,
            "azp": CLIENT,
            "iat": int(NOW.timestamp()),
            "exp": int(NOW.timestamp()) + 3600,
            "nonce": nonce(VERIFIER),
            "at_hash": half_hash(ACCESS),
            "email": "ada@example.com",
            "email_verified": True,
        }
        return {name: v for name, v in {**right, **changes}.items() if v is not None}

    def sign(self, key: Any = None, *, alg: str = "RS256", **changes: Any) -> str:
        key = key or self.keys[-1]
        return jwt.encode({"alg": alg, "kid": key.kid}, self.claims(**changes), key, [alg])

    async def verify(self, token: str, *, now: datetime = NOW) -> IdTokenClaims:
        issuer = IdTokenIssuer((self.url,), f"{self.url}/certs", lambda _: None)
        return await verify_id_token(
            self.http,
            issuer,
            token,
            client_id=CLIENT,
            verifier=VERIFIER,
            access_token=ACCESS,
            timeout=5,
            now=now,
        )


@pytest.fixture
async def issuer(http) -> AsyncIterator[Issuer]:
    created = Issuer(http)
    async with RawTestServer(created.publish) as server:
        created.url = str(server.make_url("")).rstrip("/")
        yield created


async def test_a_right_token(issuer):
    """It names the person; the keys are fetched once for all tokens of an hour."""
    for _ in range(3):
        claims = await issuer.verify(issuer.sign())

    assert (claims.sub, claims.email, claims.email_verified) == ("42", "ada@example.com", True)
    assert issuer.fetches == 1
    await issuer.verify(issuer.sign(), now=NOW + timedelta(minutes=59))
    assert issuer.fetches == 1
    later = int((NOW + timedelta(hours=2)).timestamp())
    await issuer.verify(issuer.sign(iat=later, exp=later + 60), now=NOW + timedelta(hours=2))
    assert issuer.fetches == 2


async def test_an_elliptic_curve_is_as_good(issuer):
    issuer.keys = [ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"})]

    assert (await issuer.verify(issuer.sign(alg="ES256"))).sub == "42"


async def test_claims_that_may_be_missing(issuer):
    """`azp` and `at_hash` are optional; one audience may come as a list."""
    assert await issuer.verify(issuer.sign(azp=None, at_hash=None, email=None, aud=[CLIENT]))


@pytest.mark.parametrize("change", [{"exp": -59}, {"iat": 59}, {"nbf": 59}])
async def test_clocks_may_differ_by_a_minute(issuer, change):
    [(name, seconds)] = change.items()

    assert await issuer.verify(issuer.sign(**{name: int(NOW.timestamp()) + seconds}))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "https://evil.example"),
        ("iss", None),
        ("sub", None),
        ("sub", ""),
        ("sub", 42),
        ("sub", "x" * 256),
        ("aud", "another"),
        ("aud", ["another"]),
        ("aud", [CLIENT, "another"]),
        ("aud", []),
        ("aud", None),
        ("azp", "another"),
        ("nonce", "another"),
        ("nonce", nonce("w" * 43)),
        ("nonce", None),
        ("at_hash", half_hash("another")),
        ("exp", int(NOW.timestamp()) - 60),
        ("exp", None),
        ("exp", "soon"),
        ("exp", True),
        ("iat", int(NOW.timestamp()) + 61),
        ("iat", None),
        ("nbf", int(NOW.timestamp()) + 61),
        ("email", ["ada@example.com"]),
        ("email", "x" * 400),
        ("email_verified", "true"),
    ],
)
async def test_a_wrong_claim(issuer, claim, value):
    """A valid signature under a statement that is not about this authorization."""
    with pytest.raises(IdTokenRefused):
        await issuer.verify(issuer.sign(**{claim: value}))


async def test_a_foreign_key_of_the_same_id(issuer):
    """Its signature does not fit: that is not the same as an unknown key."""
    foreign = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})

    with pytest.raises(IdTokenRefused, match="bad_signature"):
        await issuer.verify(issuer.sign(foreign))

    assert issuer.fetches == 1


async def test_changed_claims(issuer):
    """Another payload under the same signature."""
    header, _, signature = issuer.sign().split(".")
    payload = base64.urlsafe_b64encode(json.dumps(issuer.claims(sub="1")).encode())

    with pytest.raises(IdTokenRefused, match="bad_signature"):
        await issuer.verify(f"{header}.{payload.rstrip(b'=').decode()}.{signature}")


async def test_no_signature(issuer):
    """`alg: none` is what an attacker would like us to accept."""
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').rstrip(b"=").decode()
    payload = issuer.sign().split(".")[1]

    for token in (f"{header}.{payload}.", f"{header}.{payload}.AAAA"):
        with pytest.raises(IdTokenRefused, match="unsupported_algorithm"):
            await issuer.verify(token)


async def test_a_published_key_is_no_shared_secret(issuer):
    """HS256 with the public key's text as its secret: the algorithm is ours to choose."""
    for secret in (issuer.keys[0].as_pem(private=False), issuer.keys[0].as_bytes(private=False)):
        shared = OctKey.import_key(base64.urlsafe_b64encode(secret).decode(), {"kid": "one"})
        with pytest.raises(IdTokenRefused, match="unsupported_algorithm"):
            await issuer.verify(issuer.sign(shared, alg="HS256"))


async def test_a_key_of_another_kind(issuer):
    """ES256 under the id of an RSA key."""
    curve = ECKey.generate_key("P-256", {"kid": "one"})

    with pytest.raises(IdTokenRefused):
        await issuer.verify(issuer.sign(curve, alg="ES256"))


async def test_keys_are_rotated(issuer):
    """A new key is fetched when a token names it; the old one is good as long as it is published."""
    await issuer.verify(issuer.sign())
    issuer.keys = [rsa("one"), rsa("two")]

    soon = NOW + timedelta(minutes=2)
    await issuer.verify(issuer.sign(rsa("two")), now=soon)
    await issuer.verify(issuer.sign(rsa("one")), now=soon)

    assert issuer.fetches == 2


async def test_unknown_keys_do_not_make_us_fetch_again_and_again(issuer):
    """At most one fetch a minute, however many tokens name keys that do not exist."""
    for second in range(0, 120, 20):
        with pytest.raises(IdTokenRefused, match="invalid_key_id"):
            await issuer.verify(issuer.sign(rsa("two")), now=NOW + timedelta(seconds=second))
        assert issuer.fetches == 1 + second // 60


@pytest.mark.parametrize(
    ("status", "published"),
    [
        (503, None),
        (302, None),
        (200, "<html>"),
        (200, "[]"),
        (200, "{}"),
        (200, '{"keys": []}'),
        (200, '{"keys": 7}'),
        (200, '{"keys": [7]}'),
        (200, '{"keys": [{"kty": "RSA"}]}'),
        (200, '{"keys": [{"kty": "RSA", "n": "", "e": ""}]}'),
        (200, "x" * 70_000),
    ],
)
async def test_keys_that_cannot_be_had(issuer, status, published):
    """Nobody is refused for it; as soon as they can be had, the same token is good."""
    issuer.status, issuer.published = status, published
    with pytest.raises(ProviderDown):
        await issuer.verify(issuer.sign())

    issuer.status, issuer.published = 200, None
    assert await issuer.verify(issuer.sign())


async def test_nobody_publishes_keys(issuer):
    """The connection itself fails."""
    token, issuer.url = issuer.sign(), "http://127.0.0.1:1"

    with pytest.raises(ProviderDown):
        await issuer.verify(token)


async def test_a_token_of_unreasonable_length(issuer):
    """It is not even decoded."""
    with pytest.raises(IdTokenRefused, match="exceeded_size"):
        await issuer.verify(issuer.sign(name="x" * 20_000))


HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "x"]),
    st.sampled_from(["RS256", "one", "", 7, None, True, ["RS256"], {"a": []}]),
)
GARBAGE = st.text(max_size=40) | st.builds(
    lambda header, rest: (
        base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode() + rest
    ),
    HEADERS | st.lists(st.just("alg")),
    st.sampled_from(["", ".", "..", ".e30.AAAA", ".é.é", ".!!.!!"]),
)


@given(GARBAGE)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
async def test_whatever_it_is_it_is_refused(issuer, token):
    """Texts that are no token, and headers of any kind: one error, and nothing else gets out."""
    with pytest.raises(IdTokenRefused) as refused:
        await issuer.verify(token)

    assert len(token) < 30 or token not in str(refused.value)


def test_the_nonce_does_not_give_the_verifier_away():
    """It is in a URL that browsers remember, beside the challenge, and equals neither."""
    assert nonce(VERIFIER) != nonce("w" * 43)
    assert VERIFIER not in nonce(VERIFIER)
    assert len(nonce(VERIFIER)) == 43
