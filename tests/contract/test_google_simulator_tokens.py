"""The simulated Google's OAuth: the authorize page, scopes, and when a refresh token is issued."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from google.auth import jwt as google_jwt
from joserfc.jwk import RSAKey

from simulators.client import REDIRECT_URI, control, google_tokens, redirect_query
from simulators.google.simulator import GoogleSimulator, serve

SCOPES = [
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
]
MINE = "0192f0c1e8a47b9d8c6f3e2a1b"


@pytest.fixture
async def sim() -> AsyncIterator[GoogleSimulator]:
    async with serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_refresh_token_is_issued_once(sim, http):
    """A second authorization without `prompt=consent` has none, nor has the response to a refresh."""
    first = await google_tokens(http, sim, scope=SCOPES[0])
    assert "refresh_token" in first
    assert "refresh_token" not in await google_tokens(http, sim, scope=SCOPES[0], prompt="none")
    form = {
        "grant_type": "refresh_token",
        "refresh_token": first["refresh_token"],
        "client_id": sim.knobs.client_id,
        "client_secret": sim.knobs.client_secret,
    }
    async with http.post(f"{sim.url}/token", data=form) as response:
        again = await response.json()
    assert sorted(again) == ["access_token", "expires_in", "scope", "token_type"]


async def test_the_authorize_page_is_strict(sim, http):
    """A missing or wrong parameter results in a page without a redirect."""
    good = {
        "client_id": sim.knobs.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "state": "s",
        "scope": SCOPES[0],
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    url = f"{sim.url}/o/oauth2/v2/auth"
    assert set(await redirect_query(http, url, good)) == {"code", "state", "scope"}
    wrong = {
        "client_id": "another",
        "redirect_uri": "https://evil.example/callback",
        "response_type": "token",
        "state": "",
        "scope": "https://www.googleapis.com/auth/nonsense",
        "code_challenge_method": "plain",
    }
    for name, value in wrong.items():
        assert await redirect_query(http, url, good | {name: value}) == {}, name


async def test_a_withheld_scope_is_not_granted(sim, http):
    """The response names only the scopes that the user has granted."""
    await control(http, sim, "POST settings", {"withheld_scopes": [SCOPES[1]]})
    assert (await google_tokens(http, sim, scope=" ".join(SCOPES)))["scope"] == SCOPES[0]


async def test_an_id_token_is_issued_with_openid(sim, http):
    """Google's own library verifies it with the published keys; `email` is there if asked for."""
    plain = await google_tokens(http, sim, scope=SCOPES[0])
    assert "id_token" not in plain
    sim.oauth.signing_keys.rotate()
    tokens = await google_tokens(http, sim, "ada@example.com", scope="openid email", nonce="n")
    assert tokens["scope"] == "openid https://www.googleapis.com/auth/userinfo.email"

    async with http.get(f"{sim.url}/oauth2/v3/certs") as response:
        published = (await response.json())["keys"]
    assert len(published) == 2
    assert not any("d" in key for key in published)
    certificates = {key["kid"]: RSAKey.import_key(key).as_pem() for key in published}
    claims = google_jwt.decode(tokens["id_token"], certificates, audience=sim.knobs.client_id)

    assert claims["nonce"] == "n"
    assert (claims["iss"], claims["azp"]) == (sim.url, sim.knobs.client_id)
    assert (claims["email"], claims["email_verified"]) == ("ada@example.com", True)
    assert claims["hd"] == "example.com"


async def test_a_rotated_key_is_dropped_in_the_end(sim, http):
    """Two keys are published at a time."""
    seen = []
    for _ in range(3):
        sim.oauth.signing_keys.rotate()
        async with http.get(f"{sim.url}/oauth2/v3/certs") as response:
            seen.append([key["kid"] for key in (await response.json())["keys"]])

    assert [len(set(keys)) for keys in seen] == [2, 2, 2]
    assert seen[0][1] == seen[1][0]
    assert seen[1][1] == seen[2][0]
