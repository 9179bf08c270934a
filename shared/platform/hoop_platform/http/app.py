"""The HTTP application of one process: the routes of its services, health, and metrics."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiohttp import HttpVersion10, web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from hoop_platform import auth, telemetry
from hoop_platform.auth import Caller
from hoop_platform.errors import (
    Malformed,
    NotFound,
    Unauthorized,
    VersionRequired,
    VersionUnknown,
)
from hoop_platform.http import parse
from hoop_platform.http.admission import RATE_LIMIT_STATUS, Admission
from hoop_platform.http.idempotency import idempotency_key, respond_once
from hoop_platform.http.responses import COMMON_HEADERS, error_response, to_response
from hoop_platform.http.route import VERSIONS, Call, Route
from hoop_platform.telemetry import span

DOCS = "/docs"
_PARAMETER = re.compile(r"\{(\w+)\}")
"""By default aiohttp matches no braces: a client that sends `{noteId}` would learn nothing of the id."""
NOBODY = Caller("", "", frozenset(), frozenset())

Check = Callable[[], Awaitable[Mapping[str, bool]]]
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    routes: Iterable[tuple[Route, Any]], *, admission: Admission, ready: Check
) -> web.Application:
    """The application: each route with and without a trailing slash, health and metrics."""
    app = web.Application(middlewares=[_outermost(admission)], client_max_size=parse.LARGEST_BODY)
    served = list(routes)
    for route, runtime in served:
        endpoint = _endpoint(route, runtime, admission)
        bare = _PARAMETER.sub(r"{\1:[^/]+}", route.path.rstrip("/"))
        for path in (bare, bare + "/"):
            app.router.add_route(route.method, path, endpoint, expect_handler=_expect)
    _add_operations(app, ready)
    if any(route.path == DOCS for route, _ in served):
        _lead_to_docs(app)
    app.on_response_prepare.append(_set_headers)
    return app


async def _expect(request: web.Request) -> None:
    """Send `100 Continue` to a client that expects it."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the response itself is still to come


def _endpoint(route: Route, runtime: Any, admission: Admission) -> _Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        telemetry.enter(runtime.name)
        title = f"{route.method} {route.path}"
        attributes = {"http.request.method": route.method, "http.route": route.path}
        parent = request.headers.get("traceparent")
        with (
            telemetry.requests_timer(runtime.name, route.path) as status,
            span(title, kind="server", parent=parent, attributes=attributes) as server_span,
        ):
            response = await _respond(request, route, runtime, admission)
            status.append(response.status)
            server_span.set_attribute("http.response.status_code", response.status)
            return response

    return serve


async def _respond(
    request: web.Request, route: Route, runtime: Any, admission: Admission
) -> web.Response:
    try:
        call = await _call(request, route, runtime, admission)
        key = idempotency_key(request, route)
        result = await (
            route.handler(call) if key is None else respond_once(call, route, request, key)
        )
        return to_response(result, route.status)
    except Exception as error:  # noqa: BLE001 -- the edge: every failure becomes a response
        return error_response(_naming_the_id(error, route))


def _naming_the_id(error: Exception, route: Route) -> Exception:
    """The refusal of an unknown id says which: unless it does, the only one in the path is meant."""
    if isinstance(error, NotFound) and not error.details and len(route.id_parameters) == 1:
        return NotFound(route.id_parameters[0])
    return error


async def _call(
    request: web.Request, route: Route, runtime: Any, admission: Admission
) -> Call[Any, Any]:
    caller = NOBODY
    if route.scope is None:
        await admission.admit_anybody(request)
    else:
        caller = await admission.admit(request)
        _check_version(request)
        auth.authorize(caller, route.scopes, runtime.tables, writes=route.writes)
    return Call(
        runtime=runtime,
        caller=caller,
        path=parse.path(request.match_info),
        query=parse.query(request.query, route.query) if route.query else None,
        body=await parse.body(request, route.body) if route.body else None,
        headers=request.headers,
        now=runtime.clock.now(),
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


def _lead_to_docs(app: web.Application) -> None:
    """Whoever opens the address of the API in a browser sees its documentation."""

    async def front(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": DOCS})

    app.router.add_get("/", front)


def _outermost(admission: Admission) -> Any:  # a middleware, whose type aiohttp does not name
    @web.middleware
    async def outermost(request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Counts unknown paths and methods too, and responds to them in our own shape."""
        try:
            return await (handler if request.version >= HttpVersion10 else _too_old)(request)
        except Exception as error:  # noqa: BLE001 -- the edge: every failure becomes a response
            with span(f"{request.method} unmatched", kind="server"):
                return error_response(await _count(request, admission) or error)

    return outermost


async def _count(request: web.Request, admission: Admission) -> Exception | None:
    """Count a request that no route serves; returns the error if it is one too many."""
    try:
        await admission.admit(request)
    except Unauthorized:
        return None  # an unknown path does not tell whether a key is valid
    except Exception as error:  # noqa: BLE001 -- the edge: every failure becomes a response
        return error
    return None


async def _too_old(_: web.Request) -> web.StreamResponse:
    raise Malformed


async def _set_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in COMMON_HEADERS.items():
        response.headers.setdefault(name, value)
    if RATE_LIMIT_STATUS in request:
        response.headers.update(request[RATE_LIMIT_STATUS].headers())
    response.headers["Server"] = COMMON_HEADERS["Server"]
