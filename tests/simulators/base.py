"""The base class of the simulated providers: log, faults, knobs and the control API under `/_sim`.

A subclass has knobs and routes, tells which user a request is from (`identify`) and what an error
response looks like (`typical_error`). Requests under `/_sim` are never logged, faulted or counted.
The state is in memory; with a state file it survives an orderly stop.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from simulators import control_api
from simulators.clock import SimClock, format_instant
from simulators.faults import Faults
from simulators.files import SimulatorFiles
from simulators.http_faults import FaultyRequest, HttpFaultSpec, apply_fault, reset_connection
from simulators.request_log import HttpLogEntry, RequestLog, http_log_entry, parse_body

HOST = "127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class EarlyResponse(Exception):
    """Raised anywhere in a simulator to end the request with this response."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


class CloseConnection(Exception):
    """Raised to close the caller's socket after the request was handled."""


class Knobs(BaseModel):
    """The settings that `POST /_sim/settings` may change; each simulator adds its own."""

    model_config = ConfigDict(extra="forbid")

    clock_offset_seconds: float = 0.0


KnobsT = TypeVar("KnobsT", bound=Knobs)


class Simulator(ABC, Generic[KnobsT]):
    """One simulated provider."""

    name: ClassVar[str]

    def __init__(self, knobs: KnobsT, files: SimulatorFiles) -> None:
        self.url = ""
        self.files = files
        self.knobs = knobs
        self._initial_knobs = knobs.model_dump()
        self.clock = SimClock(files.clock_offset)
        self.clock.offset_seconds = knobs.clock_offset_seconds
        self.log: RequestLog[HttpLogEntry] = RequestLog(files.log)
        self.faults = Faults(HttpFaultSpec)

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The provider's routes, and those that it adds under `/_sim`."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """The objects that exist now, as `GET /_sim/state` returns them."""

    @abstractmethod
    def clear_state(self) -> None:
        """Delete all objects."""

    @abstractmethod
    def clear_grants(self) -> None:
        """Delete all grants: no user is connected any more."""

    @abstractmethod
    def snapshot(self) -> Any:
        """The objects and grants to be kept over a restart; must be picklable."""

    @abstractmethod
    def restore(self, snapshot: Any) -> None:
        """Restore what `snapshot` returned."""

    @abstractmethod
    def identify(self, request: web.Request, body: Any) -> str | None:
        """The user to whom the request's credentials belong, for the log and `match.user`."""

    @abstractmethod
    def typical_error(self, status: int) -> web.Response:
        """The provider's typical response of this status."""

    async def background(self) -> None:
        """Runs besides the requests; cancelled when the simulator stops."""

    def patch_knobs(self, changes: dict[str, Any]) -> None:
        """Change some knobs. Raises ValidationError for an unknown knob or an invalid value."""
        self.knobs = type(self.knobs)(**{**self.knobs.model_dump(), **changes})
        self.clock.offset_seconds = self.knobs.clock_offset_seconds

    @property
    def ready_line(self) -> str:
        return f"ready {self.url}"

    def reset_knobs(self) -> None:
        """Set every knob to its value at the start."""
        self.patch_knobs(self._initial_knobs)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._record_request], client_max_size=8 * 2**20)
        app.add_routes([*control_api.routes(self), *self.routes()])
        return app

    @web.middleware
    async def _record_request(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_sim"):
            return await handle_control_request(request, handler)
        entry = self.log.begin(await self._entry(request))
        try:
            response = await self._respond(request, handler, entry)
            entry.status = None if _is_closed(request) else response.status
            return response
        finally:
            self.log.finish(entry)

    async def _entry(self, request: web.Request) -> HttpLogEntry:
        body = parse_body(await request.read(), request.content_type)
        return http_log_entry(
            request,
            seq=self.log.next_seq(),
            at=format_instant(self.clock.now()),
            principal=self.identify(request, body),
            body=body,
        )

    async def _respond(
        self, request: web.Request, handler: Handler, entry: HttpLogEntry
    ) -> web.StreamResponse:
        async def act() -> web.StreamResponse:
            response = await self._provider_response(request, handler)
            entry.did = response.status
            return response

        def fits(spec: HttpFaultSpec) -> bool:
            return spec.match.fits(request.method, request.path, entry.principal)

        fault = self.faults.take(fits)
        if fault is None:
            return await self._provider_response(request, handler)
        entry.fault = {"id": fault.id, "do": fault.spec.do}
        return await apply_fault(FaultyRequest(request, fault, act, self.typical_error))

    async def _provider_response(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """The response without faults, error responses and unknown routes included."""
        try:
            return await handler(request)
        except EarlyResponse as early:
            return early.response
        except CloseConnection:
            return reset_connection(request)
        except web.HTTPException as error:
            return self.typical_error(error.status)

    @asynccontextmanager
    async def running(self, *, host: str = HOST, port: int = 0) -> AsyncIterator[None]:
        """Serve on `host:port` (0: any free port) within the context, at `url`."""
        if (stored := self.files.load_snapshot()) is not None:
            self.restore(stored)
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        background = asyncio.create_task(  # noqa: TID251 - a TaskGroup would wrap a test's own failure
            self.background()
        )
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            yield
        finally:
            self.faults.clear()
            await runner.cleanup()
            self.files.save_snapshot(self.snapshot())
            background.cancel()
            with suppress(asyncio.CancelledError):
                await background  # raises if the background work failed


@web.middleware
async def control_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The middleware of a server whose routes are all control routes."""
    return await handle_control_request(request, handler)


async def handle_control_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Handle a control request; the response to a wrong one has status 4xx and names the `error`."""
    try:
        return await handler(request)
    except ValidationError as error:
        problems = json.loads(error.json(include_url=False, include_context=False))
        return web.json_response({"error": "not as expected", "problems": problems}, status=400)
    except (ValueError, KeyError, TypeError) as error:
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
    except EarlyResponse as early:
        return early.response
    except web.HTTPException as error:
        return web.json_response({"error": error.text or error.reason}, status=error.status)


def _is_closed(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
