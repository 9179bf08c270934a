"""The common frame of the simulated providers: log, faults, knobs and the control API under `/_sim`.

A simulator subclasses `Simulator`, brings its knobs, adds its routes, says who a request
is from (`identify`) and what its errors look like (`usual_error`). Requests under `/_sim` are never
logged, faulted or counted. What it believes lives in memory,
and over an orderly stop in a file if one is named.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from simulators import control
from simulators.clock import SimClock, stamp
from simulators.faults import Faults
from simulators.http_faults import Case, HttpOrder, carry_out, cut
from simulators.keeping import Files
from simulators.log import HttpEntry, Log, http_entry, readable

HOST = "127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answer(Exception):
    """Raised anywhere in a simulator to end the request with this response."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


class ConnectionCut(Exception):
    """Raised to close the caller's socket although the work is done."""


class Knobs(BaseModel):
    """Behaviour that `POST /_sim/settings` may change; each simulator adds its own."""

    model_config = ConfigDict(extra="forbid")

    clock_offset_seconds: float = 0.0


K = TypeVar("K", bound=Knobs)


class Simulator(ABC, Generic[K]):
    name: ClassVar[str]

    def __init__(self, knobs: K, files: Files) -> None:
        self.url = ""
        self.files = files
        self.knobs = knobs
        self._first_knobs = knobs.model_dump()
        self.clock = SimClock(files.clock_offset)
        self.clock.offset_seconds = knobs.clock_offset_seconds
        self.log: Log[HttpEntry] = Log(files.log)
        self.faults = Faults(HttpOrder)

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """The provider's own routes, and its additions to `/_sim`."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What exists now, as `GET /_sim/state` shows it."""

    @abstractmethod
    def forget_state(self) -> None:
        """Forget everything that was made."""

    @abstractmethod
    def forget_grants(self) -> None:
        """Forget every authorization: who was connected is so no more."""

    @abstractmethod
    def memory(self) -> Any:
        """All that was made and granted, to be kept over a restart (it must pickle)."""

    @abstractmethod
    def remember(self, memory: Any) -> None:
        """Know again what `memory` gave."""

    @abstractmethod
    def identify(self, request: web.Request, body: Any) -> str | None:
        """The user in whose name this request comes, for the log and `match.user`; changes nothing."""

    @abstractmethod
    def usual_error(self, status: int) -> web.Response:
        """The provider's typical answer of this status."""

    async def background(self) -> None:
        """Work beside the requests; cancelled when the simulator stops."""

    def patch_knobs(self, changes: dict[str, Any]) -> None:
        """Raises ValidationError when a knob is unknown or its value does not fit."""
        self.knobs = type(self.knobs)(**{**self.knobs.model_dump(), **changes})
        self.clock.offset_seconds = self.knobs.clock_offset_seconds

    @property
    def ready_line(self) -> str:
        return f"ready {self.url}"

    def first_knobs(self) -> None:
        """Every knob as it was when the simulator was started."""
        self.patch_knobs(self._first_knobs)

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._watch], client_max_size=8 * 2**20)
        app.add_routes([*control.routes(self), *self.routes()])
        return app

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_sim"):
            return await answer_control(request, handler)
        entry = self.log.begin(await self._entry(request))
        try:
            response = await self._answer(request, handler, entry)
            entry.status = None if _is_cut(request) else response.status
            return response
        finally:
            self.log.done(entry)

    async def _entry(self, request: web.Request) -> HttpEntry:
        body = readable(await request.read(), request.content_type)
        return http_entry(
            request,
            seq=self.log.next_seq(),
            at=stamp(self.clock.now()),
            principal=self.identify(request, body),
            body=body,
        )

    async def _answer(
        self, request: web.Request, handler: Handler, entry: HttpEntry
    ) -> web.StreamResponse:
        async def act() -> web.StreamResponse:
            response = await self._provider(request, handler)
            entry.did = response.status
            return response

        def fits(order: HttpOrder) -> bool:
            return order.match.fits(request.method, request.path, entry.principal)

        fault = self.faults.take(fits)
        if fault is None:
            return await self._provider(request, handler)
        entry.fault = {"id": fault.id, "do": fault.spec.do}
        return await carry_out(Case(request, fault, act, self.usual_error))

    async def _provider(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The provider's own answer, its refusals and unknown routes included."""
        try:
            return await handler(request)
        except Answer as answer:
            return answer.response
        except ConnectionCut:
            return cut(request)
        except web.HTTPException as error:
            return self.usual_error(error.status)

    @asynccontextmanager
    async def running(self, *, host: str = HOST, port: int = 0) -> AsyncIterator[None]:
        """Serve on `host:port` (0: any free one) within the context; `url` then says where."""
        if (kept := self.files.kept()) is not None:
            self.remember(kept)
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        work = asyncio.create_task(  # noqa: TID251 - a TaskGroup would wrap a test's own failure
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
            self.files.keep(self.memory())
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work  # a failure of the background work shows here


@web.middleware
async def controlled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The middleware of a server that has nothing but a control API."""
    return await answer_control(request, handler)


async def answer_control(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a control request; what is wrong with it is said in `error`, status 400 or 404."""
    try:
        return await handler(request)
    except ValidationError as error:
        problems = json.loads(error.json(include_url=False, include_context=False))
        return web.json_response({"error": "not as expected", "problems": problems}, status=400)
    except (ValueError, KeyError, TypeError) as error:
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
    except Answer as answer:
        return answer.response
    except web.HTTPException as error:
        return web.json_response({"error": error.text or error.reason}, status=error.status)


def _is_cut(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
