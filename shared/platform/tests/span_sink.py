"""A collector of spans for tests: it keeps what it is sent, and is slow or unwilling on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from multidict import CIMultiDictProxy
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from local.servers.ports import free_ports


class Sink:
    """Takes spans by OTLP over HTTP, as any collector does; on demand it holds its responses or refuses."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.headers: list[CIMultiDictProxy[str]] = []
        self.url = ""
        self.status = 200
        self.open = asyncio.Event()
        self.open.set()

    async def take(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers)
        body = await request.read()
        await self.open.wait()
        if self.status != 200:
            return web.Response(status=self.status, headers={"Retry-After": "60"})
        exported = ExportTraceServiceRequest()
        exported.ParseFromString(body)
        for group in exported.resource_spans:
            resource = {pair.key: pair.value.string_value for pair in group.resource.attributes}
            found = [s for scope in group.scope_spans for s in scope.spans]
            self.spans += [_read(resource, s) for s in found]
        return web.Response()

    def of(self, trace: str) -> dict[str, dict[str, Any]]:
        """The spans of a trace by their names."""
        return {s["name"]: s for s in self.spans if s["trace"] == trace}


def _read(resource: dict[str, str], s: Any) -> dict[str, Any]:
    return {
        "service": resource["service.name"],
        "resource": resource,
        "name": s.name,
        "trace": s.trace_id.hex(),
        "id": s.span_id.hex(),
        "parent": s.parent_span_id.hex(),
        "kind": s.kind,
        "links": [link.trace_id.hex() for link in s.links],
        "text": str(s),
    }


@asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port := free_ports(1)[0]).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()
