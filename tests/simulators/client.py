"""What tests do to a simulator over HTTP: consent as a user, get tokens, call, turn its knobs."""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp

NO_CONTENT = 204
REDIRECT_URI = "http://127.0.0.1:9/callback"  # nobody listens there; only its query is read


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


async def sent_back(
    session: aiohttp.ClientSession, url: str, parameters: dict[str, str]
) -> dict[str, str]:
    """Visit an authorize page and answer the query it redirects with; empty when it does not."""
    async with session.get(url, params=parameters, allow_redirects=False) as answer:
        return dict(parse_qsl(urlsplit(answer.headers.get("Location", "")).query))


async def zoom_tokens(session: aiohttp.ClientSession, sim: Any, user: str = "") -> dict[str, Any]:
    """Connect this user to the simulated Zoom; the token endpoint's answer."""
    form = {
        "grant_type": "authorization_code",
        **await _code(session, sim, "/oauth/authorize", user),
    }
    basic = basic_auth(sim.knobs.client_id, sim.knobs.client_secret)
    async with session.post(f"{sim.url}/oauth/token", data=form, headers=basic) as answer:
        answer.raise_for_status()
        return dict(await answer.json())


async def google_tokens(
    session: aiohttp.ClientSession, sim: Any, user: str = "", *, scope: str, **more: str
) -> dict[str, Any]:
    """Connect this user to the simulated Google; the token endpoint's answer."""
    asked = {"scope": scope, "access_type": "offline", "prompt": "consent", **more}
    form = {
        "grant_type": "authorization_code",
        "client_id": sim.knobs.client_id,
        "client_secret": sim.knobs.client_secret,
        **await _code(session, sim, "/o/oauth2/v2/auth", user, **asked),
    }
    async with session.post(f"{sim.url}/token", data=form) as answer:
        answer.raise_for_status()
        return dict(await answer.json())


async def _code(
    session: aiohttp.ClientSession, sim: Any, path: str, user: str, **more: str
) -> dict[str, str]:
    pkce = Pkce.new()
    asked = {
        "client_id": sim.knobs.client_id,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "state": secrets.token_urlsafe(8),
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
        "login_hint": user,
        **more,
    }
    answer = await sent_back(session, sim.url + path, asked)
    return {"code": answer["code"], "redirect_uri": REDIRECT_URI, "code_verifier": pkce.verifier}


async def control(session: aiohttp.ClientSession, sim: Any, request: str, body: Any = None) -> Any:
    """A request to the control API (`POST faults`); its answer's body. Raises when it is refused."""
    method, _, path = request.partition(" ")
    async with session.request(method, f"{sim.url}/_sim/{path}", json=body) as answer:
        if not answer.ok:
            raise ValueError(await answer.text())
        return await answer.json() if answer.status != NO_CONTENT else None


async def google_call(
    session: aiohttp.ClientSession, sim: Any, token: str, request: str, body: Any = None
) -> Any:
    """A request (`GET calendars/…`) to the calendar API; the answer's body, or (status, reason)."""
    method, _, path = request.partition(" ")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{sim.url}/calendar/v3/{path}"
    async with session.request(method, url, json=body, headers=headers) as answer:
        found = await answer.json() if answer.status != NO_CONTENT else {}
    return found if answer.ok else (answer.status, found["error"]["errors"][0]["reason"])


async def zoom_call(
    session: aiohttp.ClientSession, sim: Any, token: str, request: str, body: Any = None
) -> tuple[int, Any]:
    """A request (`POST users/me/meetings`) to the simulated Zoom; its status and body."""
    method, _, path = request.partition(" ")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{sim.url}/v2/{path}"
    async with session.request(method, url, json=body, headers=headers) as answer:
        return answer.status, await answer.json() if answer.status != NO_CONTENT else None
