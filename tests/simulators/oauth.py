"""The part of OAuth 2.0 that the simulated providers share: authorize page, PKCE, codes, tokens.

What a token endpoint answers, and with which errors, differs by provider and stays with them.
"""

import base64
import hashlib
import hmac
import html
import ipaddress
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from pydantic import Field

from simulators.frame import Answer, Knobs

CODE_LIFETIME = timedelta(minutes=5)


class OAuthKnobs(Knobs):
    client_id: str
    client_secret: str
    redirect_uris: list[str] = []  # beside these, any http URL on a loopback host is welcome
    default_user: str = "ada@example.com"  # who consents when the query names nobody
    consent: Literal["approve", "deny", "request_access"] = "approve"
    withheld_scopes: list[str] = []  # what the user unticks
    require_pkce: bool = True
    expires_in: int = Field(3599, ge=1)  # seconds an access token lives


@dataclass
class Grant:
    """One user's consent to our app; `dead` says why it is over."""

    id: str
    user: str
    scopes: tuple[str, ...]
    refresh_token: str | None = None
    retired: dict[str, datetime] = field(default_factory=dict)  # rotated out, and when
    dead: str | None = None


@dataclass(frozen=True)
class Code:
    user: str
    redirect_uri: str
    challenge: str | None
    scopes: tuple[str, ...]
    offline: bool  # a refresh token was asked for
    expires_at: datetime


@dataclass(frozen=True)
class Access:
    grant: Grant
    expires_at: datetime


@dataclass
class Tokens:
    """Every code, grant and access token that was given out."""

    codes: dict[str, Code] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    access: dict[str, Access] = field(default_factory=dict)

    def new_code(self, code: Code) -> str:
        value = secrets.token_urlsafe(24)
        self.codes[value] = code
        return value

    def redeem(self, value: str) -> Code | None:
        """The code of this value, which is spent by asking."""
        return self.codes.pop(value, None)

    def new_grant(self, user: str, scopes: tuple[str, ...]) -> Grant:
        grant = Grant(secrets.token_hex(8), user, scopes)
        self.grants.append(grant)
        return grant

    def new_access(self, grant: Grant, *, now: datetime, lives: int) -> str:
        self.access = {t: a for t, a in self.access.items() if a.expires_at > now}
        token = secrets.token_urlsafe(48)
        self.access[token] = Access(grant, now + timedelta(seconds=lives))
        return token

    def rotate(self, grant: Grant, *, now: datetime) -> str:
        """A new refresh token; the one before is retired."""
        if grant.refresh_token is not None:
            grant.retired[grant.refresh_token] = now
        grant.refresh_token = secrets.token_urlsafe(48)
        return grant.refresh_token

    def by_refresh(self, token: str) -> Grant | None:
        """The grant that has or had this refresh token."""
        return next(
            (g for g in self.grants if token == g.refresh_token or token in g.retired), None
        )

    def find(self, token: str) -> Grant | None:
        """The grant behind a token of either kind, dead or alive."""
        if token in self.access:
            return self.access[token].grant
        return self.by_refresh(token)

    def kill(self, user: str, reason: str, *, but: Grant | None = None) -> int:
        """End the user's living grants, their access tokens too; answers how many."""
        doomed = [g for g in self.grants if g.user == user and g.dead is None and g is not but]
        for grant in doomed:
            grant.dead = reason
        return len(doomed)

    def counts(self) -> dict[str, int]:
        living = [g for g in self.grants if g.dead is None]
        return {
            "grants": len(living),
            "dead_grants": len(self.grants) - len(living),
            "refresh_tokens": sum(g.refresh_token is not None for g in living),
            "access_tokens": sum(a.grant.dead is None for a in self.access.values()),
            "codes": len(self.codes),
        }


@dataclass(frozen=True)
class Asked:
    """What a well-formed visit of the authorize page asked for."""

    user: str
    redirect_uri: str
    state: str
    challenge: str | None

    def sent_back(self, **parameters: str) -> web.Response:
        """The redirect to the app, with `state`."""
        query = urlencode({**parameters, "state": self.state})
        glue = "&" if "?" in self.redirect_uri else "?"
        return web.Response(status=302, headers={"Location": self.redirect_uri + glue + query})


def asked_to_authorize(request: web.Request, knobs: OAuthKnobs) -> Asked:
    """What is asked, or the provider's page that says what is wrong (no redirect, as with theirs)."""
    query = request.query
    challenge = query.get("code_challenge")
    problem = (
        _problem_of_the_app(request, knobs)
        or ("response_type must be code" if query.get("response_type") != "code" else None)
        or ("state is missing" if not query.get("state") else None)
        or _problem_of_pkce(challenge, query.get("code_challenge_method"), knobs)
    )
    if problem is not None:
        raise Answer(page(400, "This app's request is invalid", problem))
    user = query.get("user") or query.get("login_hint") or knobs.default_user
    return Asked(user, query["redirect_uri"], query["state"], challenge)


def not_approved(asked: Asked, knobs: OAuthKnobs) -> web.Response | None:
    """How the user, or their administrator, keeps the app out; None when they do not."""
    if knobs.consent == "deny":
        return asked.sent_back(error="access_denied")
    if knobs.consent == "request_access":
        text = "Your administrator must approve this app. Request access, and come back later."
        return page(200, "Request access", text)
    return None


def verified(code: Code, verifier: str | None) -> bool:
    """RFC 7636: the verifier hashes to the challenge; without a challenge there must be none."""
    if code.challenge is None or verifier is None:
        return code.challenge is None and verifier is None
    digest = hashlib.sha256(verifier.encode()).digest()
    computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return 43 <= len(verifier) <= 128 and hmac.compare_digest(computed, code.challenge)


def basic_credentials(request: web.Request) -> tuple[str, str]:
    """Client id and secret of a Basic header, empty when there is none that can be read."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return name, secret


def bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def page(status: int, title: str, text: str) -> web.Response:
    """A page for people; both parts are escaped."""
    body = f"<!DOCTYPE html><title>{html.escape(title)}</title><h1>{html.escape(title)}</h1>"
    body += f"<p>{html.escape(text)}</p>"
    return web.Response(status=status, text=body, content_type="text/html")


def _problem_of_the_app(request: web.Request, knobs: OAuthKnobs) -> str | None:
    uri = request.query.get("redirect_uri", "")
    if request.query.get("client_id") != knobs.client_id:
        return "invalid_client: no app has this client_id"
    if uri not in knobs.redirect_uris and not _on_loopback(uri):
        return f"redirect_uri_mismatch: {uri!r} is not registered"
    return None


def _problem_of_pkce(challenge: str | None, method: str | None, knobs: OAuthKnobs) -> str | None:
    if challenge is None:
        return "code_challenge is missing" if knobs.require_pkce else None
    return None if method == "S256" else "code_challenge_method must be S256"


def _on_loopback(uri: str) -> bool:
    parts = urlsplit(uri)
    if parts.scheme != "http" or parts.hostname is None or parts.fragment:
        return False
    try:
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return False
