"""The simulated Zoom's OAuth: consent, refresh tokens that are replaced, and how tokens end."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulators.client import (
    REDIRECT_URI,
    basic_auth,
    control,
    redirect_query,
    zoom_call,
    zoom_tokens,
)
from simulators.zoom.simulator import ZoomSimulator, serve

MEETING = {"topic": "Cut", "type": 2, "start_time": "2027-03-01T09:00:00Z", "duration": 30}
CREATE = "POST users/me/meetings"


@pytest.fixture
async def sim() -> AsyncIterator[ZoomSimulator]:
    async with serve() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def ada(http, sim) -> dict[str, Any]:
    return await zoom_tokens(http, sim, "ada@example.com")


async def token_request(http, sim, **form: str) -> tuple[int, Any]:
    headers = basic_auth(sim.knobs.client_id, sim.knobs.client_secret)
    async with http.post(f"{sim.url}/oauth/token", data=form, headers=headers) as response:
        return response.status, await response.json()


async def refresh(http, sim, token: str) -> tuple[int, Any]:
    return await token_request(http, sim, grant_type="refresh_token", refresh_token=token)


async def test_a_refresh_token_works_once(sim, http, ada):
    """Each refresh issues new tokens, and the old refresh token ends at once."""
    status, second = await refresh(http, sim, ada["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != ada["refresh_token"]
    dead = (400, {"reason": "Invalid Token!", "error": "invalid_grant"})
    assert await refresh(http, sim, ada["refresh_token"]) == dead
    assert (await refresh(http, sim, second["refresh_token"]))[0] == 200


async def test_a_replaced_token_is_valid_until_its_grace_is_over(sim, http, ada):
    """With `grace_seconds`, a replaced refresh token can be used for that time."""
    await control(http, sim, "POST settings", {"grace_seconds": 60})
    await refresh(http, sim, ada["refresh_token"])
    assert (await refresh(http, sim, ada["refresh_token"]))[0] == 200
    await control(http, sim, "POST settings", {"clock_offset_seconds": 61})
    assert (await refresh(http, sim, ada["refresh_token"]))[0] == 400


async def test_a_refresh_whose_response_is_lost_ends_the_connection(sim, http, ada):
    """`crash_after_rotate`: the socket is closed, and the caller's refresh token has ended."""
    await control(http, sim, "POST settings", {"crash_after_rotate": 1})
    with pytest.raises(aiohttp.ClientError):
        await refresh(http, sim, ada["refresh_token"])
    assert (await refresh(http, sim, ada["refresh_token"]))[0] == 400
    assert (await control(http, sim, "GET settings"))["crash_after_rotate"] == 0


async def test_a_newer_authorization_ends_the_older(sim, http, ada):
    """4741: the same Zoom user connected again; both tokens of the first connection have ended."""
    newer = await zoom_tokens(http, sim, "ada@example.com")
    status, response = await refresh(http, sim, ada["refresh_token"])
    assert (status, response["error"], response["code"]) == (400, "invalid_grant", 4741)
    status, response = await zoom_call(http, sim, ada["access_token"], "GET users/me")
    assert (status, response["code"]) == (401, 124)
    assert (await zoom_call(http, sim, newer["access_token"], "GET users/me"))[0] == 200


@pytest.mark.parametrize("reason", ["4738", "4735"])
async def test_the_next_refresh_names_the_reason_of_a_revocation(sim, http, ada, reason):
    """For example 4738 when an administrator has disabled the app."""
    body = {"user": "ada@example.com", "reason": reason}
    assert await control(http, sim, "POST revoke", body) == {"revoked": 1}
    assert (await refresh(http, sim, ada["refresh_token"]))[1]["code"] == int(reason)


async def test_access_tokens_expire(sim, http, ada):
    """401/124 after an hour, or after the knob `expires_in`."""
    await control(http, sim, "POST settings", {"clock_offset_seconds": 3600})
    status, response = await zoom_call(http, sim, ada["access_token"], "GET users/me")
    assert (status, response) == (401, {"code": 124, "message": "Access token is expired."})
    await control(http, sim, "POST settings", {"expires_in": 1})
    _, fresh = await refresh(http, sim, ada["refresh_token"])
    assert fresh["expires_in"] == 1


async def test_a_missing_scope_is_4711(sim, http):
    """Without the delete scope, meetings can be created but not deleted."""
    await control(http, sim, "POST settings", {"withheld_scopes": ["meeting:delete:meeting"]})
    tokens = await zoom_tokens(http, sim)
    assert "meeting:delete:meeting" not in tokens["scope"].split()
    _, created = await zoom_call(http, sim, tokens["access_token"], CREATE, MEETING)
    status, response = await zoom_call(
        http, sim, tokens["access_token"], f"DELETE meetings/{created['id']}"
    )
    assert (status, response["code"]) == (400, 4711)


async def test_revoking_at_zoom_ends_the_connection(sim, http, ada):
    """The revoke endpoint ends both tokens; a second call is 400."""
    headers = basic_auth(sim.knobs.client_id, sim.knobs.client_secret)
    for expected in (200, 400):
        form = {"token": ada["access_token"]}
        async with http.post(f"{sim.url}/oauth/revoke", data=form, headers=headers) as response:
            assert response.status == expected
    assert (await zoom_call(http, sim, ada["access_token"], "GET users/me"))[0] == 401


async def test_the_token_endpoint_is_strict(sim, http):
    """A code needs its redirect URI and verifier, and our client's credentials."""
    grant = {"grant_type": "authorization_code", "redirect_uri": REDIRECT_URI}
    status, response = await token_request(http, sim, code="nonsense", code_verifier="v", **grant)
    assert (status, response["code"]) == (400, 4734)
    async with http.post(
        f"{sim.url}/oauth/token", data=grant, headers=basic_auth("hoop-zoom", "wrong")
    ) as response:
        assert response.status == 401
    for wrong in ({"code_verifier": "w" * 50}, {"redirect_uri": "http://127.0.0.1:9/other"}):
        code = await authorize(http, sim, code_challenge="c" * 43)
        form = {"code": code["code"], "code_verifier": "v" * 50, **grant, **wrong}
        assert (await token_request(http, sim, **form))[0] == 400


async def authorize(http, sim, **change: str) -> dict[str, str]:
    parameters = {
        "client_id": sim.knobs.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "state": "s",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    return await redirect_query(http, f"{sim.url}/oauth/authorize", parameters | change)


async def test_the_consent_may_be_refused(sim, http):
    """`request_access` shows a page without a redirect; `deny` redirects with an error."""
    await control(http, sim, "POST settings", {"consent": "request_access"})
    assert await authorize(http, sim) == {}
    await control(http, sim, "POST settings", {"consent": "deny"})
    assert await authorize(http, sim) == {"error": "access_denied", "state": "s"}
    await control(http, sim, "POST settings", {"consent": "approve"})
    assert set(await authorize(http, sim)) == {"code", "state"}
    assert await authorize(http, sim, scope="user:read meeting:write") == {}, "Zoom wants commas"
