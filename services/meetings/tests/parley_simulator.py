"""Parley's server: rooms whose ids the caller chooses, behind the OAuth of the simulated Zoom."""

from contextlib import asynccontextmanager
from typing import Any, ClassVar

from aiohttp import web

from simulators.base import EarlyResponse, Simulator
from simulators.control_api import json_body
from simulators.files import SimulatorFiles
from simulators.oauth import TokenBook, bearer
from simulators.zoom.knobs import ZoomKnobs
from simulators.zoom.oauth import ZoomOAuth


class ParleySimulator(Simulator[ZoomKnobs]):
    """A simulated Parley that serves."""

    name: ClassVar = "parley"

    def __init__(self, knobs: ZoomKnobs, files: SimulatorFiles) -> None:
        super().__init__(knobs, files)
        self.oauth = ZoomOAuth(knobs, self.clock)
        self.rooms: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            *self.oauth.routes(),
            web.get("/me", self._me, allow_head=False),
            web.put("/rooms/{id}", self._put),
            web.get("/rooms/{id}", self._get, allow_head=False),
            web.delete("/rooms/{id}", self._delete),
        ]

    async def _me(self, request: web.Request) -> web.Response:
        return web.json_response({"login": self._user(request)})

    async def _put(self, request: web.Request) -> web.Response:
        name, user = request.match_info["id"], self._user(request)
        room = await json_body(request)
        if set(room) != {"topic", "minutes"}:
            raise EarlyResponse(web.json_response({}, status=422))
        url = f"{self.url}/join/{name}"
        self.rooms[name] = {**room, "id": name, "join_url": url, "url": url, "user": user}
        return web.json_response(self.rooms[name])

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(self._room(request))

    async def _delete(self, request: web.Request) -> web.Response:
        return web.json_response(self.rooms.pop(self._room(request)["id"]))

    def _user(self, request: web.Request) -> str:
        token = self.oauth.tokens.access.get(bearer(request))
        if token is None or token.grant.dead or token.expires_at <= self.clock.now():
            raise EarlyResponse(self.typical_error(401))
        return token.grant.user

    def _room(self, request: web.Request) -> dict[str, Any]:
        room = self.rooms.get(request.match_info["id"])
        if room is None or room["user"] != self._user(request):
            raise EarlyResponse(self.typical_error(404))
        return room

    def state(self) -> dict[str, Any]:
        return {"meetings": list(self.rooms.values())}

    def clear_state(self) -> None:
        self.rooms = {}

    def clear_grants(self) -> None:
        self.oauth.tokens = TokenBook()

    def snapshot(self) -> Any:
        return self.rooms

    def restore(self, snapshot: Any) -> None:
        self.rooms = snapshot

    def identify(self, request: web.Request, body: Any) -> str | None:  # noqa: ARG002 -- the base class's
        grant = self.oauth.tokens.find(bearer(request))
        return grant.user if grant else None

    def typical_error(self, status: int) -> web.Response:
        headers = {"Retry-After": "120"} if status == 429 else {}
        return web.json_response({"status": status}, status=status, headers=headers)


@asynccontextmanager
async def serve(offset_file):
    """A simulated Parley within the context."""
    files = SimulatorFiles(None, offset_file, None)
    simulator = ParleySimulator(ZoomKnobs(), files)
    async with simulator.running():
        yield simulator
