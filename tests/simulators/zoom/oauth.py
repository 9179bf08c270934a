"""Zoom's authorization server: Basic credentials, and refresh tokens that rotate on every use."""

import hmac
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from simulators.clock import SimClock
from simulators.frame import Answer, ConnectionCut
from simulators.oauth import (
    CODE_LIFETIME,
    Code,
    Grant,
    Tokens,
    asked_to_authorize,
    basic_credentials,
    not_approved,
    page,
    verified,
)
from simulators.zoom.errors import no_token
from simulators.zoom.knobs import ZoomKnobs

REASONS = {
    "4733": (4733, "The authorization code has expired."),
    "4735": (4735, "The owner of the token has been removed."),
    "4738": (4738, "The app has been disabled by the account's administrator."),
    "4741": (4741, "The token was revoked because of a newer authorization of this app."),
}


class ZoomOAuth:
    """Authorize page, token and revoke endpoints over one book of tokens."""

    def __init__(self, knobs: ZoomKnobs, clock: SimClock) -> None:
        self.knobs = knobs
        self.tokens = Tokens()
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/oauth/authorize", self.authorize, allow_head=False),
            web.post("/oauth/token", self.token),
            web.post("/oauth/revoke", self.revoke),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        asked = asked_to_authorize(request, self.knobs)
        if " " in request.query.get("scope", ""):  # observed: Zoom wants commas, or no scope at all
            raise Answer(page(400, "We were unable to complete your request", "Error 4,700"))
        if refused := not_approved(asked, self.knobs):
            return refused
        scopes = tuple(s for s in self.knobs.scopes if s not in self.knobs.withheld_scopes)
        expires_at = self._clock.now() + CODE_LIFETIME
        code = Code(asked.user, asked.redirect_uri, asked.challenge, scopes, True, expires_at)
        return asked.sent_back(code=self.tokens.new_code(code))

    async def token(self, request: web.Request) -> web.Response:
        self._check_client(request)
        form = dict(await request.post())
        now = self._clock.now()
        if form.get("grant_type") == "authorization_code":
            return self._granted(self._redeem(form, now), now)
        if form.get("grant_type") == "refresh_token":
            return self._refreshed(self._living(str(form.get("refresh_token", "")), now), now)
        raise no_token(400, "unsupported_grant_type", "unsupported grant type")

    async def revoke(self, request: web.Request) -> web.Response:
        self._check_client(request)
        grant = self.tokens.find(str((await request.post()).get("token", "")))
        if grant is None or grant.dead is not None:
            raise no_token(400, "invalid_grant", "Invalid Token!")
        grant.dead = "revoked"
        return web.json_response({"status": "success"})

    def _check_client(self, request: web.Request) -> None:
        name, secret = basic_credentials(request)
        right = hmac.compare_digest(secret.encode(), self.knobs.client_secret.encode())
        if name != self.knobs.client_id or not right:
            raise no_token(401, "invalid_client", "Invalid client_id or client_secret", 4702)

    def _redeem(self, form: dict[str, Any], now: datetime) -> Code:
        code = self.tokens.redeem(str(form.get("code", "")))
        if code is None:
            raise no_token(400, "invalid_request", "Invalid authorization code", 4734)
        if code.expires_at <= now:
            raise no_token(400, "invalid_request", "Authorization code expired", 4733)
        if form.get("redirect_uri") != code.redirect_uri:
            raise no_token(400, "invalid_request", "Redirect URI mismatch.", 4709)
        if not verified(code, form.get("code_verifier")):
            raise no_token(400, "invalid_request", "Invalid code verifier")
        return code

    def _granted(self, code: Code, now: datetime) -> web.Response:
        grant = self.tokens.new_grant(code.user, code.scopes)
        if self.knobs.one_grant_per_user:
            self.tokens.kill(code.user, "4741", but=grant)
        return self._answer(grant, now)

    def _living(self, refresh_token: str, now: datetime) -> Grant:
        """The grant that this refresh token opens; a rotated one opens nothing after its grace."""
        grant = self.tokens.by_refresh(refresh_token)
        if grant is None:
            raise no_token(400, "invalid_grant", "Invalid Token!")
        if grant.dead is not None:
            code, reason = REASONS.get(grant.dead, (None, "Invalid Token!"))
            raise no_token(400, "invalid_grant", reason, code)
        grace = timedelta(seconds=self.knobs.grace_seconds)
        if refresh_token in grant.retired and grant.retired[refresh_token] + grace <= now:
            raise no_token(400, "invalid_grant", "Invalid Token!")
        return grant

    def _refreshed(self, grant: Grant, now: datetime) -> web.Response:
        answer = self._answer(grant, now)
        if self.knobs.crash_after_rotate:
            self.knobs.crash_after_rotate -= 1
            raise ConnectionCut
        return answer

    def _answer(self, grant: Grant, now: datetime) -> web.Response:
        lives = self.knobs.expires_in
        return web.json_response(
            {
                "access_token": self.tokens.new_access(grant, now=now, lives=lives),
                "token_type": "bearer",
                "refresh_token": self.tokens.rotate(grant, now=now),
                "expires_in": lives,
                "scope": " ".join(grant.scopes),
            }
        )
