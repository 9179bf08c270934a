"""The HTTP application of one process: the routes of its services, health, and metrics."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import HttpVersion10, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared import auth, telemetry
from shared.auth import Caller
from shared.errors import Malformed, VersionRequired, VersionUnknown
from shared.http import parse
from shared.http.answer import COMMON_HEADERS, refuse, respond
from shared.http.route import Call, Route
from shared.telemetry import span

VERSIONS = ("2021-04-15", "2021-07-28", "2023-02-21", "v3")
NOBODY = Caller("", "", frozenset(), frozenset())

Check = Callable[[], Awaitable[Mapping[str, bool]]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(routes: Iterable[tuple[Route, Any]], *, ready: Check) -> web.Application:
    """Serve each route in the name of its runtime, with and without a trailing slash."""
    app = web.Application(middlewares=[_outermost], client_max_size=parse.LARGEST_BODY)
    for route, runtime in routes:
        endpoint = _endpoint(route, runtime)
        bare = route.path.rstrip("/")
        for path in (bare, bare + "/"):
            app.router.add_route(route.method, path, endpoint, expect_handler=_expect)
    _add_operations(app, ready)
    app.on_response_prepare.append(_sign)
    return app


async def _expect(request: web.Request) -> None:
    """Ask for the body when the client waits to be asked; other expectations nobody has."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer proper is still to come


def _endpoint(route: Route, runtime: Any) -> _Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        telemetry.enter(runtime.name)
        title = f"{route.method} {route.path}"
        attributes = {"http.request.method": route.method, "http.route": route.path}
        parent = request.headers.get("traceparent")
        with (
            telemetry.requests_timer(runtime.name, route.path) as status,
            span(title, kind="server", parent=parent, attributes=attributes) as opened,
        ):
            response = await _answer(request, route, runtime)
            status.append(response.status)
            opened.set_attribute("http.response.status_code", response.status)
            return response

    return serve


async def _answer(request: web.Request, route: Route, runtime: Any) -> web.Response:
    try:
        call = await _call(request, route, runtime)
        return respond(await route.handler(call), route.status)
    except Exception as error:  # noqa: BLE001 -- the edge: whatever failed becomes an answer
        return refuse(error)


async def _call(request: web.Request, route: Route, runtime: Any) -> Call:
    now = runtime.clock.now()
    caller = NOBODY
    if route.scope is not None:
        _check_version(request)
        caller = await auth.verify(request.headers.get("Authorization"), runtime.tables, now=now)
        auth.permit(caller, route.scope, runtime.tables, writes=route.writes)
    return Call(
        runtime=runtime,
        caller=caller,
        path=parse.path(request.match_info),
        query=parse.query(request.query, route.query) if route.query else None,
        body=await parse.body(request, route.body) if route.body else None,
        headers=request.headers,
        now=now,
    )


def _check_version(request: web.Request) -> None:
    version = request.headers.get("Version")
    if version is None:
        raise VersionRequired
    if version not in VERSIONS:
        raise VersionUnknown


def _add_operations(app: web.Application, ready: Check) -> None:
    async def live(_: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def readiness(_: web.Request) -> web.Response:
        checks = await ready()
        good = all(checks.values())
        return web.json_response(
            {"status": "ready" if good else "not ready", "checks": dict(checks)},
            status=200 if good else 503,
        )

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", readiness)
    app.router.add_get("/metrics", metrics)


@web.middleware
async def _outermost(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Unknown paths and methods, too, are answered in our own shape."""
    try:
        return await (handler if request.version >= HttpVersion10 else _too_old)(request)
    except Exception as error:  # noqa: BLE001 -- the edge: whatever failed becomes an answer
        with span(f"{request.method} unmatched", kind="server"):
            return refuse(error)


async def _too_old(_: web.Request) -> web.StreamResponse:
    raise Malformed


async def _sign(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in COMMON_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = COMMON_HEADERS["Server"]
