"""The simulated Google as a whole: its parts, its state, and what else a test may do to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
from aiohttp import web

from simulators.frame import Simulator
from simulators.google import errors
from simulators.google.api import GoogleApi
from simulators.google.calendars import Calendars
from simulators.google.gate import Quota
from simulators.google.hands import OtherHands, event_shown
from simulators.google.knobs import GoogleKnobs
from simulators.google.oauth import GoogleOAuth
from simulators.google.push import Courier
from simulators.keeping import Files
from simulators.oauth import Tokens, bearer


class GoogleSimulator(Simulator[GoogleKnobs]):
    name: ClassVar = "google"

    def __init__(self, knobs: GoogleKnobs, files: Files) -> None:
        super().__init__(knobs, files)
        self.oauth = GoogleOAuth(knobs, self.clock)
        self.api = GoogleApi(self.oauth, self.clock, lambda: self.url)

    def patch_knobs(self, changes: dict[str, Any]) -> None:
        super().patch_knobs(changes)
        self.oauth.knobs = self.knobs

    def routes(self) -> list[web.RouteDef]:
        return [
            *OtherHands(self.api, self.oauth).routes(),
            *self.oauth.routes(),
            *self.api.routes(),
        ]

    def state(self) -> dict[str, Any]:
        calendars = self.api.calendars.all.values()
        every = [(c, e) for c in calendars for e in c.events.values()]
        return {
            "events": [event_shown(c, e) for c, e in every if not e.cancelled],
            "cancelled": [event_shown(c, e) for c, e in every if e.cancelled],
            "calendars": [c.shown() for c in calendars],
            "users": sorted({user for c in calendars for user in c.roles}),
            "tokens": self.oauth.tokens.counts(),
            "calls": self.api.quota.calls,
            "invitations": self.api.invitations,
            **self.api.pushes.state(),
        }

    def forget_state(self) -> None:
        self.api.calendars = Calendars()
        self.api.quota = Quota()
        self.api.pushes.forget()
        self.api.invitations = []

    def forget_grants(self) -> None:
        self.oauth.tokens = Tokens()

    def memory(self) -> Any:
        return self.oauth.tokens, self.api.calendars, self.api.pushes.channels

    def remember(self, memory: Any) -> None:
        self.oauth.tokens, self.api.calendars, self.api.pushes.channels = memory

    def identify(self, request: web.Request, body: Any) -> str | None:
        token = bearer(request)
        if isinstance(body, dict) and request.path in ("/token", "/revoke"):
            if code := self.oauth.tokens.codes.get(str(body.get("code"))):
                return code.user
            token = str(body.get("refresh_token") or body.get("token"))
        grant = self.oauth.tokens.find(token)
        return grant.user if grant else request.query.get("user") or request.query.get("login_hint")

    def usual_error(self, status: int) -> web.Response:
        return errors.usual(status)

    async def background(self) -> None:
        async with aiohttp.ClientSession() as session:
            courier = Courier(session, self.clock)
            while True:
                await courier.deliver(self.api.pushes, self.knobs)


@asynccontextmanager
async def serve(
    port: int = 0,
    *,
    log_file: Path | None = None,
    clock_offset_file: Path | None = None,
    state_file: Path | None = None,
    **knobs: Any,
) -> AsyncIterator[GoogleSimulator]:
    """A simulated Google on `127.0.0.1:port` within the context; `knobs` are those of `GoogleKnobs`."""
    sim = GoogleSimulator(GoogleKnobs(**knobs), Files(log_file, clock_offset_file, state_file))
    async with sim.running(port=port):
        yield sim
