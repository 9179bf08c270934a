"""The control API that every simulator has: `/_sim/log`, `state`, `faults`, `settings`, `reset`.

`GET  /_sim/log`        the requests, a JSON array in order; `?after=SEQ&method=&path=&principal=`
`GET  /_sim/state`      the objects that exist now
`POST /_sim/faults`     add a fault (see `http_faults.py`), returns `{"id"}`; `GET` lists, `DELETE …/{id}`
`POST /_sim/settings`   change some knobs, returns all of them; `GET` returns them
`POST /_sim/reset`      no body: log, faults, settings and state are as at the start, but connected
                        users stay connected; `{"faults": true}`: only that; also `log`, `settings`,
                        `state`, `grants`, `all`
"""

from typing import Any, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from simulators.faults import Faults
from simulators.request_log import RequestLog


class Reset(BaseModel):
    """The body of `POST /_sim/reset`: the parts to be reset."""

    model_config = ConfigDict(extra="forbid")

    faults: bool = False
    log: bool = False
    settings: bool = False
    state: bool = False
    grants: bool = False
    all: bool = False

    def includes(self, part: str) -> bool:
        if self.all:
            return True
        nothing_named = not any(self.model_dump().values())
        return bool(getattr(self, part)) or (nothing_named and part != "grants")


class ControlledSimulator(Protocol):
    """The parts of a simulator that the control API uses."""

    @property
    def log(self) -> RequestLog[Any]: ...

    @property
    def faults(self) -> Faults[Any]: ...

    @property
    def knobs(self) -> BaseModel: ...

    def state(self) -> dict[str, Any]: ...
    def patch_knobs(self, changes: dict[str, Any]) -> None: ...
    def reset_knobs(self) -> None: ...
    def clear_state(self) -> None: ...
    def clear_grants(self) -> None: ...


def routes(sim: ControlledSimulator) -> list[web.RouteDef]:
    async def get_log(request: web.Request) -> web.Response:
        return web.json_response(list(sim.log.matching(request.query)))

    async def get_state(request: web.Request) -> web.Response:
        return web.json_response(sim.state())

    async def get_settings(request: web.Request) -> web.Response:
        return web.json_response(sim.knobs.model_dump(mode="json"))

    async def post_settings(request: web.Request) -> web.Response:
        sim.patch_knobs(await json_body(request))
        return await get_settings(request)

    async def post_reset(request: web.Request) -> web.Response:
        return web.json_response({"reset": reset(sim, Reset(**await json_body(request)))})

    return [
        web.get("/_sim/log", get_log),
        web.get("/_sim/state", get_state),
        web.get("/_sim/settings", get_settings),
        web.post("/_sim/settings", post_settings),
        web.post("/_sim/reset", post_reset),
        *fault_routes(sim.faults),
    ]


def fault_routes(faults: Faults[Any]) -> list[web.RouteDef]:
    async def get_faults(request: web.Request) -> web.Response:
        return web.json_response([fault.as_json() for fault in faults.all()])

    async def post_fault(request: web.Request) -> web.Response:
        fault = faults.add(faults.spec_type(**await json_body(request)))
        return web.json_response({"id": fault.id})

    async def delete_fault(request: web.Request) -> web.Response:
        if not faults.remove(request.match_info["id"]):
            raise web.HTTPNotFound(text="no such fault")
        return web.Response(status=204)

    return [
        web.get("/_sim/faults", get_faults),
        web.post("/_sim/faults", post_fault),
        web.delete("/_sim/faults/{id}", delete_fault),
    ]


def reset(sim: ControlledSimulator, wanted: Reset) -> list[str]:
    """Reset the wanted parts; returns their names."""
    actions = {
        "faults": sim.faults.clear,
        "log": sim.log.clear,
        "settings": sim.reset_knobs,
        "state": sim.clear_state,
        "grants": sim.clear_grants,
    }
    parts = [part for part in actions if wanted.includes(part)]
    for part in parts:
        actions[part]()
    return parts


async def json_body(request: web.Request) -> dict[str, Any]:
    """The JSON object in the body; an empty body is an empty object. Raises ValueError."""
    body = await request.json() if await request.read() else {}
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return body
