"""The simulated Google's authorization: who may consent to what, and when a refresh token is told."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from simulators import google
from simulators.client import REDIRECT_URI, control, google_tokens, sent_back
from simulators.google import GoogleSimulator

SCOPES = [
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
]
MINE = "0192f0c1e8a47b9d8c6f3e2a1b"


@pytest.fixture
async def sim() -> AsyncIterator[GoogleSimulator]:
    async with google.serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_a_refresh_token_is_told_once(sim, http):
    """Without `prompt=consent` a second authorization has none, and a refresh never tells one."""
    first = await google_tokens(http, sim, scope=SCOPES[0])
    assert "refresh_token" in first
    assert "refresh_token" not in await google_tokens(http, sim, scope=SCOPES[0], prompt="none")
    form = {
        "grant_type": "refresh_token",
        "refresh_token": first["refresh_token"],
        "client_id": sim.knobs.client_id,
        "client_secret": sim.knobs.client_secret,
    }
    async with http.post(f"{sim.url}/token", data=form) as answer:
        again = await answer.json()
    assert sorted(again) == ["access_token", "expires_in", "scope", "token_type"]


async def test_the_authorize_page_is_strict(sim, http):
    """Anything missing or wrong shows a page and redirects nowhere."""
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
    assert set(await sent_back(http, url, good)) == {"code", "state", "scope"}
    wrong = {
        "client_id": "another",
        "redirect_uri": "https://evil.example/callback",
        "response_type": "token",
        "state": "",
        "scope": "https://www.googleapis.com/auth/nonsense",
        "code_challenge_method": "plain",
    }
    for name, value in wrong.items():
        assert await sent_back(http, url, good | {name: value}) == {}, name


async def test_an_unticked_scope_is_not_granted(sim, http):
    """The answer names only what the user left ticked."""
    await control(http, sim, "POST settings", {"withheld_scopes": [SCOPES[1]]})
    assert (await google_tokens(http, sim, scope=" ".join(SCOPES)))["scope"] == SCOPES[0]
