"""Google's authorization server: credentials in the body, refresh tokens that stay, ID tokens."""

import hmac
import secrets
from datetime import datetime
from typing import Any

from aiohttp import web

from simulators.base import EarlyResponse
from simulators.clock import SimClock
from simulators.google.discovery import known_scopes
from simulators.google.id_tokens import FULL_SCOPE_NAMES, SigningKeys, id_token_claims
from simulators.google.knobs import GoogleKnobs
from simulators.oauth import (
    CODE_LIFETIME,
    AuthorizationCode,
    TokenBook,
    UserGrant,
    consent_refusal,
    page,
    parse_authorization_request,
    pkce_matches,
)

IDENTITY_SCOPES = frozenset({"openid", *FULL_SCOPE_NAMES, *FULL_SCOPE_NAMES.values()})


class GoogleOAuth:
    """The authorize page and the token and revoke endpoints."""

    def __init__(self, knobs: GoogleKnobs, clock: SimClock) -> None:
        self.knobs = knobs
        self.tokens = TokenBook()
        self.signing_keys = SigningKeys()
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/o/oauth2/v2/auth", self.authorize, allow_head=False),
            web.post("/token", self.token),
            web.post("/revoke", self.revoke),
            web.get("/oauth2/v3/certs", self.certs, allow_head=False),
        ]

    async def authorize(self, request: web.Request) -> web.Response:
        authorization = parse_authorization_request(request, self.knobs)
        wanted = request.query.get("scope", "").split()
        if not wanted or not set(wanted) <= known_scopes() | IDENTITY_SCOPES:
            raise EarlyResponse(page(400, "Access blocked", "Error 400: invalid_scope"))
        if refused := consent_refusal(authorization, self.knobs):
            return refused
        scopes = tuple(
            FULL_SCOPE_NAMES.get(s, s) for s in wanted if s not in self.knobs.withheld_scopes
        )
        first = all(g.user != authorization.user or g.dead for g in self.tokens.grants)
        offline = request.query.get("access_type") == "offline" and (
            first or "consent" in request.query.get("prompt", "").split()
        )
        expires_at = self._clock.now() + CODE_LIFETIME
        code = AuthorizationCode(
            authorization.user,
            authorization.redirect_uri,
            authorization.challenge,
            scopes,
            offline,
            expires_at,
            request.query.get("nonce"),
        )
        return authorization.redirect(code=self.tokens.new_code(code), scope=" ".join(scopes))

    async def token(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        self._check_client(form)
        now, issuer = self._clock.now(), str(request.url.origin())
        if form.get("grant_type") == "authorization_code":
            return self._issue_grant(self._redeem(form, now), issuer, now)
        if form.get("grant_type") == "refresh_token":
            return web.json_response(self._token_body(self._active_grant(form), issuer, now))
        raise _error("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')!s}")

    async def revoke(self, request: web.Request) -> web.Response:
        form = await request.post()
        grant = self.tokens.find(str(form.get("token") or request.query.get("token", "")))
        if grant is None or grant.dead is not None:
            raise _error("invalid_token", "Token expired or revoked")
        grant.dead = "revoked"
        return web.json_response({})

    async def certs(self, _: web.Request) -> web.Response:
        return web.json_response(self.signing_keys.published())

    def _check_client(self, form: dict[str, Any]) -> None:
        secret = str(form.get("client_secret", ""))
        right = hmac.compare_digest(secret.encode(), self.knobs.client_secret.encode())
        if form.get("client_id") != self.knobs.client_id or not right:
            raise _error("invalid_client", "The OAuth client was not found.", status=401)

    def _redeem(self, form: dict[str, Any], now: datetime) -> AuthorizationCode:
        code = self.tokens.redeem(str(form.get("code", "")))
        if code is None or code.expires_at <= now:
            raise _error("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise _error("redirect_uri_mismatch", "Bad Request")
        if not pkce_matches(code, form.get("code_verifier")):
            raise _error("invalid_grant", "Invalid code verifier.")
        return code

    def _issue_grant(self, code: AuthorizationCode, issuer: str, now: datetime) -> web.Response:
        """The tokens of a new grant; a refresh token is issued only now, and only for offline access."""
        grant = self.tokens.new_grant(code.user, code.scopes)
        body = self._token_body(grant, issuer, now, nonce=code.nonce)
        if code.offline:
            grant.refresh_token = body["refresh_token"] = "1//" + secrets.token_urlsafe(48)
            self._end_oldest_grants(code.user)
        return web.json_response(body)

    def _end_oldest_grants(self, user: str) -> None:
        grants = self.tokens.grants
        active = [g for g in grants if g.user == user and not g.dead and g.refresh_token]
        for grant in active[: -self.knobs.max_refresh_tokens]:
            grant.dead = "too many"

    def _active_grant(self, form: dict[str, Any]) -> UserGrant:
        if not form.get("refresh_token"):
            raise _error("invalid_request", "Missing required parameter: refresh_token")
        grant = self.tokens.by_refresh(str(form["refresh_token"]))
        if grant is None or grant.dead is not None:
            raise _error("invalid_grant", "Token has been expired or revoked.")
        return grant

    def _token_body(
        self, grant: UserGrant, issuer: str, now: datetime, *, nonce: str | None = None
    ) -> dict[str, Any]:
        """Also an ID token, if the scope `openid` was granted; that of a refresh has no nonce."""
        lifetime = self.knobs.expires_in
        access = self.tokens.new_access(grant, now=now, lifetime=lifetime)
        body = {
            "access_token": access,
            "expires_in": lifetime,
            "scope": " ".join(grant.scopes),
            "token_type": "Bearer",
        }
        if "openid" in grant.scopes:
            claims = id_token_claims(
                grant, access, issuer=issuer, nonce=nonce, knobs=self.knobs, now=now
            )
            body["id_token"] = self.signing_keys.sign(claims)
        return body


def _error(error: str, description: str, *, status: int = 400) -> EarlyResponse:
    body = {"error": error, "error_description": description}
    return EarlyResponse(web.json_response(body, status=status))
