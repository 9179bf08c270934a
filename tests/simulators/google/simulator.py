"""The simulated Google as a whole: its parts, its state, and `serve`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
from aiohttp import web

from simulators.base import Simulator
from simulators.files import SimulatorFiles
from simulators.google import errors
from simulators.google.api import GoogleApi
from simulators.google.calendars import CalendarStore
from simulators.google.control_api import GoogleControlApi, event_with_calendar
from simulators.google.knobs import GoogleKnobs
from simulators.google.oauth import GoogleOAuth
from simulators.google.request_checks import RequestQuota
from simulators.google.watch_channels import ChannelNotifier
from simulators.oauth import TokenBook, bearer


class GoogleSimulator(Simulator[GoogleKnobs]):
    """A simulated Google that serves."""

    name: ClassVar = "google"

    def __init__(self, knobs: GoogleKnobs, files: SimulatorFiles) -> None:
        super().__init__(knobs, files)
        self.oauth = GoogleOAuth(knobs, self.clock)
        self.api = GoogleApi(self.oauth, self.clock, lambda: self.url)

    def patch_knobs(self, changes: dict[str, Any]) -> None:
        super().patch_knobs(changes)
        self.oauth.knobs = self.knobs

    def routes(self) -> list[web.RouteDef]:
        return [
            *GoogleControlApi(self.api, self.oauth).routes(),
            *self.oauth.routes(),
            *self.api.routes(),
        ]

    def state(self) -> dict[str, Any]:
        calendars = self.api.calendars.all.values()
        every = [(c, e) for c in calendars for e in c.events.values()]
        return {
            "events": [event_with_calendar(c, e) for c, e in every if not e.cancelled],
            "cancelled": [event_with_calendar(c, e) for c, e in every if e.cancelled],
            "calendars": [c.as_json() for c in calendars],
            "users": sorted({user for c in calendars for user in c.roles}),
            "tokens": self.oauth.tokens.counts(),
            "calls": self.api.quota.calls,
            "invitations": self.api.invitations,
            **self.api.channels.state(),
        }

    def clear_state(self) -> None:
        self.api.calendars = CalendarStore()
        self.api.quota = RequestQuota()
        self.api.channels.clear()
        self.api.invitations = []

    def clear_grants(self) -> None:
        self.oauth.tokens = TokenBook()

    def snapshot(self) -> Any:
        return (
            (self.oauth.tokens, self.oauth.signing_keys),
            self.api.calendars,
            self.api.channels.channels,
        )

    def restore(self, snapshot: Any) -> None:
        oauth, self.api.calendars, self.api.channels.channels = snapshot
        self.oauth.tokens, self.oauth.signing_keys = oauth

    def identify(self, request: web.Request, body: Any) -> str | None:
        token = bearer(request)
        if isinstance(body, dict) and request.path in ("/token", "/revoke"):
            if code := self.oauth.tokens.codes.get(str(body.get("code"))):
                return code.user
            token = str(body.get("refresh_token") or body.get("token"))
        grant = self.oauth.tokens.find(token)
        return grant.user if grant else request.query.get("user") or request.query.get("login_hint")

    def typical_error(self, status: int) -> web.Response:
        return errors.typical_error(status)

    async def background(self) -> None:
        async with aiohttp.ClientSession() as session:
            notifier = ChannelNotifier(session, self.clock)
            while True:
                await notifier.send_next(self.api.channels, self.knobs)


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
    sim = GoogleSimulator(
        GoogleKnobs(**knobs), SimulatorFiles(log_file, clock_offset_file, state_file)
    )
    async with sim.running(port=port):
        yield sim
