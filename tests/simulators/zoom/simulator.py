"""The simulated Zoom as a whole: its parts, its state, its control API and `serve`.

Besides the common control API:
`POST   /_sim/meetings`       `{"user", …meeting fields}`: the host creates a meeting in Zoom
`PATCH  /_sim/meetings/{id}`, `DELETE …`: the host changes or removes a meeting there
`POST   /_sim/revoke`         `{"user", "reason": "invalid" | "4735" | "4738" | "4741"}`: the user's
                              tokens end; the response to the next refresh has that reason
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from simulators.base import Simulator
from simulators.control_api import json_body
from simulators.files import SimulatorFiles
from simulators.oauth import TokenBook, bearer
from simulators.zoom import errors
from simulators.zoom.api import ZoomApi
from simulators.zoom.contract import meeting_problems
from simulators.zoom.knobs import ZoomKnobs
from simulators.zoom.meetings import MeetingStore, ZoomMeeting, ZoomUser
from simulators.zoom.oauth import ZoomOAuth
from simulators.zoom.rate_limits import RateLimits


class Revocation(BaseModel):
    """The body of `POST /_sim/revoke`."""

    model_config = ConfigDict(extra="forbid")

    user: str
    reason: str = "invalid"


class ZoomSimulator(Simulator[ZoomKnobs]):
    """A simulated Zoom that serves."""

    name: ClassVar = "zoom"

    def __init__(self, knobs: ZoomKnobs, files: SimulatorFiles) -> None:
        super().__init__(knobs, files)
        self.oauth = ZoomOAuth(knobs, self.clock)
        self.api = ZoomApi(self.oauth, self.clock, lambda: self.url)

    def patch_knobs(self, changes: dict[str, Any]) -> None:
        super().patch_knobs(changes)
        self.oauth.knobs = self.knobs

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/_sim/meetings", self._host_creates),
            web.patch("/_sim/meetings/{id}", self._host_changes),
            web.delete("/_sim/meetings/{id}", self._host_deletes),
            web.post("/_sim/revoke", self._revoke),
            *self.oauth.routes(),
            *self.api.routes(),
        ]

    def state(self) -> dict[str, Any]:
        meetings = self.api.meetings
        names = {g.user for g in self.oauth.tokens.grants}
        names |= {m.user.name for m in (*meetings.live.values(), *meetings.deleted.values())}
        return {
            "meetings": [m.as_json() for m in meetings.live.values()],
            "deleted": [m.as_json() for m in meetings.deleted.values()],
            "users": [self._user_body(ZoomUser(name)) for name in sorted(names)],
            "tokens": self.oauth.tokens.counts(),
            "calls": self.api.limits.calls,
        }

    def clear_state(self) -> None:
        self.api.meetings = MeetingStore()
        self.api.limits = RateLimits()

    def clear_grants(self) -> None:
        self.oauth.tokens = TokenBook()

    def snapshot(self) -> Any:
        return self.oauth.tokens, self.api.meetings, self.api.limits.calls

    def restore(self, snapshot: Any) -> None:
        self.oauth.tokens, self.api.meetings, self.api.limits.calls = snapshot

    def identify(self, request: web.Request, body: Any) -> str | None:
        token = bearer(request)
        if isinstance(body, dict) and request.path.startswith("/oauth/"):
            if code := self.oauth.tokens.codes.get(str(body.get("code"))):
                return code.user
            token = str(body.get("refresh_token") or body.get("token"))
        grant = self.oauth.tokens.find(token)
        return grant.user if grant else request.query.get("user") or request.query.get("login_hint")

    def typical_error(self, status: int) -> web.Response:
        return errors.typical_error(status)

    def _user_body(self, user: ZoomUser) -> dict[str, Any]:
        shown = {"user": user.name, "id": user.id, "account_id": user.account_id}
        return {**shown, "email": user.email, "meetings": len(self.api.meetings.of(user))}

    def _any_meeting(self, request: web.Request) -> ZoomMeeting:
        meeting = self.api.meetings.find(request.match_info["id"])
        if meeting is None:
            raise web.HTTPNotFound(text="no such meeting")
        return meeting

    async def _host_creates(self, request: web.Request) -> web.Response:
        body = await json_body(request)
        user = ZoomUser(str(body.pop("user")))
        return web.json_response(self.api.create_for(user, _checked(body)).as_json())

    async def _host_changes(self, request: web.Request) -> web.Response:
        meeting = self._any_meeting(request)
        body = _checked(await json_body(request))
        self.api.meetings.update(meeting, body)
        return web.json_response(meeting.as_json())

    async def _host_deletes(self, request: web.Request) -> web.Response:
        self.api.meetings.delete(self._any_meeting(request))
        return web.Response(status=204)

    async def _revoke(self, request: web.Request) -> web.Response:
        wanted = Revocation(**await json_body(request))
        revoked = self.oauth.tokens.kill(wanted.user, wanted.reason)
        return web.json_response({"revoked": revoked})


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """The body. Raises ValueError when Zoom would not accept such a meeting."""
    if found := list(meeting_problems(body)):
        raise ValueError("; ".join(f"{p.path} {p.message}" for p in found))
    return body


@asynccontextmanager
async def serve(
    port: int = 0,
    *,
    log_file: Path | None = None,
    clock_offset_file: Path | None = None,
    state_file: Path | None = None,
    **knobs: Any,
) -> AsyncIterator[ZoomSimulator]:
    """A simulated Zoom on `127.0.0.1:port` within the context; `knobs` are those of `ZoomKnobs`."""
    sim = ZoomSimulator(ZoomKnobs(**knobs), SimulatorFiles(log_file, clock_offset_file, state_file))
    async with sim.running(port=port):
        yield sim
