"""A collector of traces (OTLP over HTTP): services send spans, the timeline and tests read them."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from local.servers.ports import LOOPBACK

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
CAPACITY = 200_000  # spans; older ones are dropped


@dataclass(frozen=True)
class CollectedSpan:
    """One span of a trace. Times are nanoseconds since the epoch."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    attributes: Mapping[str, Any]
    links: tuple[str, ...]


class TraceCollector:
    """Receives OTLP over HTTP and keeps the latest spans in memory."""

    def __init__(self) -> None:
        self._spans: deque[CollectedSpan] = deque(maxlen=CAPACITY)
        self._runner: web.AppRunner | None = None

    async def listen(self, port: int) -> None:
        """Receive spans at `POST /v1/traces`; return them as JSON at `GET /spans?trace=…`."""
        app = web.Application(client_max_size=64 * 1_048_576)
        app.router.add_post("/v1/traces", self._receive)
        app.router.add_get("/spans", self._show)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, port).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    def of(self, trace_id: str) -> list[CollectedSpan]:
        """The spans of one trace, ordered by their start."""
        return sorted((s for s in self._spans if s.trace_id == trace_id), key=lambda s: s.start)

    async def _receive(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest()
        message.ParseFromString(await request.read())
        self._spans.extend(_decoded(message))
        return web.Response(content_type="application/x-protobuf")

    async def _show(self, request: web.Request) -> web.Response:
        trace = request.query.get("trace")
        found = self.of(trace) if trace else list(self._spans)
        return web.json_response([asdict(span) for span in found])


def _decoded(message: ExportTraceServiceRequest) -> Iterable[CollectedSpan]:
    for resource in message.resource_spans:
        service = str(_attributes(resource.resource.attributes).get("service.name", ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _collected(service, span)


def _collected(service: str, span: Span) -> CollectedSpan:
    return CollectedSpan(
        service=service,
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        links=tuple(link.trace_id.hex() for link in span.links),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return (
        getattr(value, kind)
        if kind in ("string_value", "int_value", "bool_value", "double_value")
        else None
    )
