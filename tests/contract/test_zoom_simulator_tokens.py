"""The simulated Zoom's authorization: consent, tokens that rotate, and the ways they die."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from simulators import zoom
from simulators.client import (
    REDIRECT_URI,
    basic_auth,
    control,
    sent_back,
    zoom_call,
    zoom_tokens,
)
from simulators.zoom import ZoomSimulator

MEETING = {"topic": "Cut", "type": 2, "start_time": "2027-03-01T09:00:00Z", "duration": 30}
CREATE = "POST users/me/meetings"


@pytest.fixture
async def sim() -> AsyncIterator[ZoomSimulator]:
    async with zoom.serve() as running:
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
    async with http.post(f"{sim.url}/oauth/token", data=form, headers=headers) as answer:
        return answer.status, await answer.json()


async def refresh(http, sim, token: str) -> tuple[int, Any]:
    return await token_request(http, sim, grant_type="refresh_token", refresh_token=token)


async def test_a_refresh_token_works_once(sim, http, ada):
    """Each refresh gives a new pair and kills the old refresh token at once."""
    status, second = await refresh(http, sim, ada["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != ada["refresh_token"]
    dead = (400, {"reason": "Invalid Token!", "error": "invalid_grant"})
    assert await refresh(http, sim, ada["refresh_token"]) == dead
    assert (await refresh(http, sim, second["refresh_token"]))[0] == 200


async def test_grace_lets_the_old_token_work_a_while(sim, http, ada):
    """With the knob turned, a rotated token still refreshes until its grace is over."""
    await control(http, sim, "POST settings", {"grace_seconds": 60})
    await refresh(http, sim, ada["refresh_token"])
    assert (await refresh(http, sim, ada["refresh_token"]))[0] == 200
    await control(http, sim, "POST settings", {"clock_offset_seconds": 61})
    assert (await refresh(http, sim, ada["refresh_token"]))[0] == 400


async def test_a_rotation_whose_answer_is_lost_kills_the_connection(sim, http, ada):
    """`crash_after_rotate`: the socket closes, and what the caller still holds is dead."""
    await control(http, sim, "POST settings", {"crash_after_rotate": 1})
    with pytest.raises(aiohttp.ClientError):
        await refresh(http, sim, ada["refresh_token"])
    assert (await refresh(http, sim, ada["refresh_token"]))[0] == 400
    assert (await control(http, sim, "GET settings"))["crash_after_rotate"] == 0


async def test_a_newer_authorization_kills_the_older(sim, http, ada):
    """4741: the same Zoom user connected again; the first connection is dead on both tokens."""
    newer = await zoom_tokens(http, sim, "ada@example.com")
    status, answer = await refresh(http, sim, ada["refresh_token"])
    assert (status, answer["error"], answer["code"]) == (400, "invalid_grant", 4741)
    status, answer = await zoom_call(http, sim, ada["access_token"], "GET users/me")
    assert (status, answer["code"]) == (401, 124)
    assert (await zoom_call(http, sim, newer["access_token"], "GET users/me"))[0] == 200


@pytest.mark.parametrize("reason", ["4738", "4735"])
async def test_a_revocation_says_why_at_the_next_refresh(sim, http, ada, reason):
    """An administrator who disables the app is 4738, not just an invalid token."""
    asked = {"user": "ada@example.com", "reason": reason}
    assert await control(http, sim, "POST revoke", asked) == {"revoked": 1}
    assert (await refresh(http, sim, ada["refresh_token"]))[1]["code"] == int(reason)


async def test_access_tokens_expire(sim, http, ada):
    """After an hour 401/124; `expires_in` makes it sooner."""
    await control(http, sim, "POST settings", {"clock_offset_seconds": 3600})
    status, answer = await zoom_call(http, sim, ada["access_token"], "GET users/me")
    assert (status, answer) == (401, {"code": 124, "message": "Access token is expired."})
    await control(http, sim, "POST settings", {"expires_in": 1})
    _, fresh = await refresh(http, sim, ada["refresh_token"])
    assert fresh["expires_in"] == 1


async def test_a_missing_scope_is_4711(sim, http):
    """A user who did not grant the delete scope leaves meetings that cannot be deleted."""
    await control(http, sim, "POST settings", {"withheld_scopes": ["meeting:delete:meeting"]})
    tokens = await zoom_tokens(http, sim)
    assert "meeting:delete:meeting" not in tokens["scope"].split()
    _, made = await zoom_call(http, sim, tokens["access_token"], CREATE, MEETING)
    status, answer = await zoom_call(
        http, sim, tokens["access_token"], f"DELETE meetings/{made['id']}"
    )
    assert (status, answer["code"]) == (400, 4711)


async def test_revoking_at_zoom_ends_the_connection(sim, http, ada):
    """The revoke endpoint kills both tokens; a second time it knows none."""
    headers = basic_auth(sim.knobs.client_id, sim.knobs.client_secret)
    for expected in (200, 400):
        form = {"token": ada["access_token"]}
        async with http.post(f"{sim.url}/oauth/revoke", data=form, headers=headers) as answer:
            assert answer.status == expected
    assert (await zoom_call(http, sim, ada["access_token"], "GET users/me"))[0] == 401


async def test_the_token_endpoint_is_strict(sim, http):
    """A code works once, with its own redirect URI and verifier, and only for our client."""
    grant = {"grant_type": "authorization_code", "redirect_uri": REDIRECT_URI}
    status, answer = await token_request(http, sim, code="nonsense", code_verifier="v", **grant)
    assert (status, answer["code"]) == (400, 4734)
    async with http.post(
        f"{sim.url}/oauth/token", data=grant, headers=basic_auth("hoop-zoom", "wrong")
    ) as answer:
        assert answer.status == 401
    for wrong in ({"code_verifier": "w" * 50}, {"redirect_uri": "http://127.0.0.1:9/other"}):
        code = await authorize(http, sim, code_challenge="c" * 43)
        form = {"code": code["code"], "code_verifier": "v" * 50, **grant, **wrong}
        assert (await token_request(http, sim, **form))[0] == 400


async def authorize(http, sim, **change: str) -> dict[str, str]:
    asked = {
        "client_id": sim.knobs.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "state": "s",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    return await sent_back(http, f"{sim.url}/oauth/authorize", asked | change)


async def test_an_administrator_may_stand_before_the_consent(sim, http):
    """`request_access` shows a page and never calls back; `deny` comes back with an error."""
    await control(http, sim, "POST settings", {"consent": "request_access"})
    assert await authorize(http, sim) == {}
    await control(http, sim, "POST settings", {"consent": "deny"})
    assert await authorize(http, sim) == {"error": "access_denied", "state": "s"}
    await control(http, sim, "POST settings", {"consent": "approve"})
    assert set(await authorize(http, sim)) == {"code", "state"}
    assert await authorize(http, sim, scope="user:read meeting:write") == {}, "Zoom wants commas"
