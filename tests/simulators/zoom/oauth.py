"""Zoom's authorization server: Basic credentials, and refresh tokens that change with every use."""

import hmac
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from simulators.base import CloseConnection, EarlyResponse
from simulators.clock import SimClock
from simulators.oauth import (
    CODE_LIFETIME,
    AuthorizationCode,
    TokenBook,
    UserGrant,
    basic_credentials,
    consent_refusal,
    page,
    parse_authorization_request,
    pkce_matches,
)
from simulators.zoom.errors import token_refusal
from simulators.zoom.knobs import ZoomKnobs

REASONS = {
    "4733": (4733, "The authorization code has expired."),
    "4735": (4735, "The owner of the token has been removed."),
    "4738": (4738, "The app has been disabled by the account's administrator."),
    "4741": (4741, "The token was revoked because of a newer authorization of this app."),
}


class ZoomOAuth:
    """The authorize page and the token and revoke endpoints."""

    def __init__(self, knobs: ZoomKnobs, clock: SimClock) -> None:
        self.knobs = knobs
        self.tokens = TokenBook()
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/oauth/authorize", self.authorize, allow_head=False),
            web.post("/oauth/token", self.token),
            web.post("/oauth/revoke", self.revoke),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        authorization = parse_authorization_request(request, self.knobs)
        # observed: Zoom requires commas, or no scope at all
        if " " in request.query.get("scope", ""):
            raise EarlyResponse(page(400, "We were unable to complete your request", "Error 4,700"))
        if refused := consent_refusal(authorization, self.knobs):
            return refused
        scopes = tuple(s for s in self.knobs.scopes if s not in self.knobs.withheld_scopes)
        expires_at = self._clock.now() + CODE_LIFETIME
        code = AuthorizationCode(
            authorization.user,
            authorization.redirect_uri,
            authorization.challenge,
            scopes,
            True,
            expires_at,
        )
        return authorization.redirect(code=self.tokens.new_code(code))

    async def token(self, request: web.Request) -> web.Response:
        self._check_client(request)
        form = dict(await request.post())
        now = self._clock.now()
        if form.get("grant_type") == "authorization_code":
            return self._issue_grant(self._redeem(form, now), now)
        if form.get("grant_type") == "refresh_token":
            return self._refresh(self._active_grant(str(form.get("refresh_token", "")), now), now)
        raise token_refusal(400, "unsupported_grant_type", "unsupported grant type")

    async def revoke(self, request: web.Request) -> web.Response:
        self._check_client(request)
        grant = self.tokens.find(str((await request.post()).get("token", "")))
        if grant is None or grant.dead is not None:
            raise token_refusal(400, "invalid_grant", "Invalid Token!")
        grant.dead = "revoked"
        return web.json_response({"status": "success"})

    def _check_client(self, request: web.Request) -> None:
        name, secret = basic_credentials(request)
        right = hmac.compare_digest(secret.encode(), self.knobs.client_secret.encode())
        if name != self.knobs.client_id or not right:
            raise token_refusal(401, "invalid_client", "Invalid client_id or client_secret", 4702)

    def _redeem(self, form: dict[str, Any], now: datetime) -> AuthorizationCode:
        code = self.tokens.redeem(str(form.get("code", "")))
        if code is None:
            raise token_refusal(400, "invalid_request", "Invalid authorization code", 4734)
        if code.expires_at <= now:
            raise token_refusal(400, "invalid_request", "Authorization code expired", 4733)
        if form.get("redirect_uri") != code.redirect_uri:
            raise token_refusal(400, "invalid_request", "Redirect URI mismatch.", 4709)
        if not pkce_matches(code, form.get("code_verifier")):
            raise token_refusal(400, "invalid_request", "Invalid code verifier")
        return code

    def _issue_grant(self, code: AuthorizationCode, now: datetime) -> web.Response:
        grant = self.tokens.new_grant(code.user, code.scopes)
        if self.knobs.one_grant_per_user:
            self.tokens.kill(code.user, "4741", but=grant)
        return self._token_response(grant, now)

    def _active_grant(self, refresh_token: str, now: datetime) -> UserGrant:
        """The grant of this refresh token; a replaced token is valid until its grace is over."""
        grant = self.tokens.by_refresh(refresh_token)
        if grant is None:
            raise token_refusal(400, "invalid_grant", "Invalid Token!")
        if grant.dead is not None:
            code, reason = REASONS.get(grant.dead, (None, "Invalid Token!"))
            raise token_refusal(400, "invalid_grant", reason, code)
        grace = timedelta(seconds=self.knobs.grace_seconds)
        if refresh_token in grant.retired and grant.retired[refresh_token] + grace <= now:
            raise token_refusal(400, "invalid_grant", "Invalid Token!")
        return grant

    def _refresh(self, grant: UserGrant, now: datetime) -> web.Response:
        response = self._token_response(grant, now)
        if self.knobs.crash_after_rotate:
            self.knobs.crash_after_rotate -= 1
            raise CloseConnection
        return response

    def _token_response(self, grant: UserGrant, now: datetime) -> web.Response:
        lifetime = self.knobs.expires_in
        return web.json_response(
            {
                "access_token": self.tokens.new_access(grant, now=now, lifetime=lifetime),
                "token_type": "bearer",
                "refresh_token": self.tokens.rotate(grant, now=now),
                "expires_in": lifetime,
                "scope": " ".join(grant.scopes),
            }
        )
