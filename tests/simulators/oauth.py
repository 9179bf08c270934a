"""The part of OAuth 2.0 that the simulated providers share: authorize page, PKCE, codes, tokens.

The responses and errors of the token endpoint differ by provider and are in their modules.
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

from simulators.base import EarlyResponse, Knobs

CODE_LIFETIME = timedelta(minutes=5)


class OAuthKnobs(Knobs):
    client_id: str
    client_secret: str
    redirect_uris: list[str] = []  # besides these, any http URL on a loopback host is accepted
    default_user: str = "ada@example.com"  # who consents when the query names no user
    consent: Literal["approve", "deny", "request_access"] = "approve"
    withheld_scopes: list[str] = []  # the scopes that the user does not grant
    require_pkce: bool = True
    expires_in: int = Field(3599, ge=1)  # lifetime of an access token in seconds


@dataclass
class UserGrant:
    """One user's consent to our app; `dead` is the reason why it has ended."""

    id: str
    user: str
    scopes: tuple[str, ...]
    refresh_token: str | None = None
    retired: dict[str, datetime] = field(
        default_factory=dict
    )  # earlier refresh tokens, and when each was replaced
    dead: str | None = None


@dataclass(frozen=True)
class AuthorizationCode:
    """A code that was issued, and what it was issued for."""

    user: str
    redirect_uri: str
    challenge: str | None
    scopes: tuple[str, ...]
    offline: bool  # whether a refresh token is to be issued
    expires_at: datetime
    nonce: str | None = None  # of OpenID Connect: repeated in the ID token


@dataclass(frozen=True)
class AccessToken:
    """An access token that was issued."""

    grant: UserGrant
    expires_at: datetime


@dataclass
class TokenBook:
    """All codes, grants and access tokens that were issued."""

    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    grants: list[UserGrant] = field(default_factory=list)
    access: dict[str, AccessToken] = field(default_factory=dict)

    def new_code(self, code: AuthorizationCode) -> str:
        value = secrets.token_urlsafe(24)
        self.codes[value] = code
        return value

    def redeem(self, value: str) -> AuthorizationCode | None:
        """The code of this value, which cannot be redeemed again."""
        return self.codes.pop(value, None)

    def new_grant(self, user: str, scopes: tuple[str, ...]) -> UserGrant:
        grant = UserGrant(secrets.token_hex(8), user, scopes)
        self.grants.append(grant)
        return grant

    def new_access(self, grant: UserGrant, *, now: datetime, lifetime: int) -> str:
        self.access = {t: a for t, a in self.access.items() if a.expires_at > now}
        token = secrets.token_urlsafe(48)
        self.access[token] = AccessToken(grant, now + timedelta(seconds=lifetime))
        return token

    def rotate(self, grant: UserGrant, *, now: datetime) -> str:
        """Issue a new refresh token; the one before is retired."""
        if grant.refresh_token is not None:
            grant.retired[grant.refresh_token] = now
        grant.refresh_token = secrets.token_urlsafe(48)
        return grant.refresh_token

    def by_refresh(self, token: str) -> UserGrant | None:
        """The grant that has or had this refresh token."""
        return next(
            (g for g in self.grants if token == g.refresh_token or token in g.retired), None
        )

    def find(self, token: str) -> UserGrant | None:
        """The grant of an access or refresh token, whether or not it has ended."""
        if token in self.access:
            return self.access[token].grant
        return self.by_refresh(token)

    def kill(self, user: str, reason: str, *, but: UserGrant | None = None) -> int:
        """End the user's active grants and their access tokens; returns their number."""
        ended = [g for g in self.grants if g.user == user and g.dead is None and g is not but]
        for grant in ended:
            grant.dead = reason
        return len(ended)

    def counts(self) -> dict[str, int]:
        active = [g for g in self.grants if g.dead is None]
        return {
            "grants": len(active),
            "dead_grants": len(self.grants) - len(active),
            "refresh_tokens": sum(g.refresh_token is not None for g in active),
            "access_tokens": sum(a.grant.dead is None for a in self.access.values()),
            "codes": len(self.codes),
        }


@dataclass(frozen=True)
class AuthorizationRequest:
    """The parameters of a well-formed visit of the authorize page."""

    user: str
    redirect_uri: str
    state: str
    challenge: str | None

    def redirect(self, **parameters: str) -> web.Response:
        """The redirect back to the app, with `state`."""
        query = urlencode({**parameters, "state": self.state})
        separator = "&" if "?" in self.redirect_uri else "?"
        return web.Response(status=302, headers={"Location": self.redirect_uri + separator + query})


def parse_authorization_request(request: web.Request, knobs: OAuthKnobs) -> AuthorizationRequest:
    """The request; a wrong one raises a page that names the problem (without a redirect)."""
    query = request.query
    challenge = query.get("code_challenge")
    problem = (
        _client_problem(request, knobs)
        or ("response_type must be code" if query.get("response_type") != "code" else None)
        or ("state is missing" if not query.get("state") else None)
        or _pkce_problem(challenge, query.get("code_challenge_method"), knobs)
    )
    if problem is not None:
        raise EarlyResponse(page(400, "This app's request is invalid", problem))
    user = query.get("user") or query.get("login_hint") or knobs.default_user
    return AuthorizationRequest(user, query["redirect_uri"], query["state"], challenge)


def consent_refusal(request: AuthorizationRequest, knobs: OAuthKnobs) -> web.Response | None:
    """The response when the user or an administrator refuses the app; None when they consent."""
    if knobs.consent == "deny":
        return request.redirect(error="access_denied")
    if knobs.consent == "request_access":
        text = "Your administrator must approve this app. Request access, and come back later."
        return page(200, "Request access", text)
    return None


def pkce_matches(code: AuthorizationCode, verifier: str | None) -> bool:
    """RFC 7636: whether the verifier belongs to the challenge; without one there must be no verifier."""
    if code.challenge is None or verifier is None:
        return code.challenge is None and verifier is None
    digest = hashlib.sha256(verifier.encode()).digest()
    computed = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return 43 <= len(verifier) <= 128 and hmac.compare_digest(computed, code.challenge)


def basic_credentials(request: web.Request) -> tuple[str, str]:
    """Client id and secret of a Basic header; empty when there is none, or a malformed one."""
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


def _client_problem(request: web.Request, knobs: OAuthKnobs) -> str | None:
    uri = request.query.get("redirect_uri", "")
    if request.query.get("client_id") != knobs.client_id:
        return "invalid_client: no app has this client_id"
    if uri not in knobs.redirect_uris and not _on_loopback(uri):
        return f"redirect_uri_mismatch: {uri!r} is not registered"
    return None


def _pkce_problem(challenge: str | None, method: str | None, knobs: OAuthKnobs) -> str | None:
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
