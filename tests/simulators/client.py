"""A client of the simulators for tests: consents as a user, gets tokens, calls APIs and control API."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp

NO_CONTENT = 204
REDIRECT_URI = "http://127.0.0.1:9/callback"  # nothing listens there; tests read the query of the redirect only


@dataclass(frozen=True)
class Pkce:
    verifier: str
    challenge: str

    @classmethod
    def new(cls) -> "Pkce":
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        return cls(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def basic_auth(name: str, secret: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{name}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


async def redirect_query(
    session: aiohttp.ClientSession, url: str, parameters: dict[str, str]
) -> dict[str, str]:
    """Visit an authorize page; returns the query of its redirect, empty if there is none."""
    async with session.get(url, params=parameters, allow_redirects=False) as response:
        return dict(parse_qsl(urlsplit(response.headers.get("Location", "")).query))


async def zoom_tokens(session: aiohttp.ClientSession, sim: Any, user: str = "") -> dict[str, Any]:
    """Connect this user to the simulated Zoom; returns the token endpoint's response."""
    form = {
        "grant_type": "authorization_code",
        **await _code(session, sim, "/oauth/authorize", user),
    }
    basic = basic_auth(sim.knobs.client_id, sim.knobs.client_secret)
    async with session.post(f"{sim.url}/oauth/token", data=form, headers=basic) as response:
        response.raise_for_status()
        return dict(await response.json())


async def google_tokens(
    session: aiohttp.ClientSession, sim: Any, user: str = "", *, scope: str, **more: str
) -> dict[str, Any]:
    """Connect this user to the simulated Google; returns the token endpoint's response."""
    parameters = {"scope": scope, "access_type": "offline", "prompt": "consent", **more}
    form = {
        "grant_type": "authorization_code",
        "client_id": sim.knobs.client_id,
        "client_secret": sim.knobs.client_secret,
        **await _code(session, sim, "/o/oauth2/v2/auth", user, **parameters),
    }
    async with session.post(f"{sim.url}/token", data=form) as response:
        response.raise_for_status()
        return dict(await response.json())


async def _code(
    session: aiohttp.ClientSession, sim: Any, path: str, user: str, **more: str
) -> dict[str, str]:
    pkce = Pkce.new()
    parameters = {
        "client_id": sim.knobs.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "state": secrets.token_urlsafe(8),
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
        "login_hint": user,
        **more,
    }
    callback = await redirect_query(session, sim.url + path, parameters)
    return {"code": callback["code"], "redirect_uri": REDIRECT_URI, "code_verifier": pkce.verifier}


async def control(session: aiohttp.ClientSession, sim: Any, request: str, body: Any = None) -> Any:
    """Call the control API (`POST faults`); returns the body. Raises ValueError when refused."""
    method, _, path = request.partition(" ")
    async with session.request(method, f"{sim.url}/_sim/{path}", json=body) as response:
        if not response.ok:
            raise ValueError(await response.text())
        return await response.json() if response.status != NO_CONTENT else None


async def google_call(
    session: aiohttp.ClientSession, sim: Any, token: str, request: str, body: Any = None
) -> Any:
    """Call the calendar API (`GET calendars/…`); returns the body, or (status, reason) of an error."""
    method, _, path = request.partition(" ")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{sim.url}/calendar/v3/{path}"
    async with session.request(method, url, json=body, headers=headers) as response:
        found = await response.json() if response.status != NO_CONTENT else {}
    return found if response.ok else (response.status, found["error"]["errors"][0]["reason"])


async def zoom_call(
    session: aiohttp.ClientSession, sim: Any, token: str, request: str, body: Any = None
) -> tuple[int, Any]:
    """Call the simulated Zoom (`POST users/me/meetings`); returns status and body."""
    method, _, path = request.partition(" ")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{sim.url}/v2/{path}"
    async with session.request(method, url, json=body, headers=headers) as response:
        return response.status, await response.json() if response.status != NO_CONTENT else None
