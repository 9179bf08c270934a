"""Google's authorization server: credentials in the body, refresh tokens that stay as they are."""

import hmac
import secrets
from datetime import datetime
from typing import Any

from aiohttp import web

from simulators.clock import SimClock
from simulators.frame import Answer
from simulators.google.discovery import known_scopes
from simulators.google.knobs import GoogleKnobs
from simulators.oauth import (
    CODE_LIFETIME,
    Code,
    Grant,
    Tokens,
    asked_to_authorize,
    not_approved,
    page,
    verified,
)

IDENTITY_SCOPES = frozenset({"openid", "email", "profile"}) | {
    f"https://www.googleapis.com/auth/userinfo.{part}" for part in ("email", "profile")
}


class GoogleOAuth:
    """Authorize page, token and revoke endpoints over one book of tokens."""

    def __init__(self, knobs: GoogleKnobs, clock: SimClock) -> None:
        self.knobs = knobs
        self.tokens = Tokens()
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/o/oauth2/v2/auth", self.authorize, allow_head=False),
            web.post("/token", self.token),
            web.post("/revoke", self.revoke),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        asked = asked_to_authorize(request, self.knobs)
        wanted = request.query.get("scope", "").split()
        if not wanted or not set(wanted) <= known_scopes() | IDENTITY_SCOPES:
            raise Answer(page(400, "Access blocked", "Error 400: invalid_scope"))
        if refused := not_approved(asked, self.knobs):
            return refused
        scopes = tuple(s for s in wanted if s not in self.knobs.withheld_scopes)
        first = all(g.user != asked.user or g.dead for g in self.tokens.grants)
        offline = request.query.get("access_type") == "offline" and (
            first or "consent" in request.query.get("prompt", "").split()
        )
        expires_at = self._clock.now() + CODE_LIFETIME
        code = Code(asked.user, asked.redirect_uri, asked.challenge, scopes, offline, expires_at)
        return asked.sent_back(code=self.tokens.new_code(code), scope=" ".join(scopes))

    async def token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        self._check_client(form)
        now = self._clock.now()
        if form.get("grant_type") == "authorization_code":
            return self._granted(self._redeem(form, now), now)
        if form.get("grant_type") == "refresh_token":
            return web.json_response(self._answer(self._living(form), now))
        raise _no("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')!s}")

    async def revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        grant = self.tokens.find(str(form.get("token") or request.query.get("token", "")))
        if grant is None or grant.dead is not None:
            raise _no("invalid_token", "Token expired or revoked")
        grant.dead = "revoked"
        return web.json_response({})

    def _check_client(self, form: dict[str, Any]) -> None:
        secret = str(form.get("client_secret", ""))
        right = hmac.compare_digest(secret.encode(), self.knobs.client_secret.encode())
        if form.get("client_id") != self.knobs.client_id or not right:
            raise _no("invalid_client", "The OAuth client was not found.", status=401)

    def _redeem(self, form: dict[str, Any], now: datetime) -> Code:
        code = self.tokens.redeem(str(form.get("code", "")))
        if code is None or code.expires_at <= now:
            raise _no("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise _no("redirect_uri_mismatch", "Bad Request")
        if not verified(code, form.get("code_verifier")):
            raise _no("invalid_grant", "Invalid code verifier.")
        return code

    def _granted(self, code: Code, now: datetime) -> web.Response:
        """A new grant; the refresh token is told only now, and only when it was asked for."""
        grant = self.tokens.new_grant(code.user, code.scopes)
        answer = self._answer(grant, now)
        if code.offline:
            grant.refresh_token = answer["refresh_token"] = "1//" + secrets.token_urlsafe(48)
            self._bury_the_oldest(code.user)
        return web.json_response(answer)

    def _bury_the_oldest(self, user: str) -> None:
        tokens = self.tokens.grants
        living = [g for g in tokens if g.user == user and not g.dead and g.refresh_token]
        for grant in living[: -self.knobs.max_refresh_tokens]:
            grant.dead = "too many"

    def _living(self, form: dict[str, Any]) -> Grant:
        if not form.get("refresh_token"):
            raise _no("invalid_request", "Missing required parameter: refresh_token")
        grant = self.tokens.by_refresh(str(form["refresh_token"]))
        if grant is None or grant.dead is not None:
            raise _no("invalid_grant", "Token has been expired or revoked.")
        return grant

    def _answer(self, grant: Grant, now: datetime) -> dict[str, Any]:
        lives = self.knobs.expires_in
        return {
            "access_token": self.tokens.new_access(grant, now=now, lives=lives),
            "expires_in": lives,
            "scope": " ".join(grant.scopes),
            "token_type": "Bearer",
        }


def _no(error: str, description: str, *, status: int = 400) -> Answer:
    body = {"error": error, "error_description": description}
    return Answer(web.json_response(body, status=status))
