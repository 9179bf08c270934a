"""A small collector of traces: services send their spans here, the timeline and tests read them."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent

KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
KEPT = 200_000


@dataclass(frozen=True)
class Span:
    """A step of a story. Times are nanoseconds since the epoch."""

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
    """Receives OTLP over HTTP and remembers the latest spans."""

    def __init__(self) -> None:
        self._kept: deque[Span] = deque(maxlen=KEPT)
        self._runner: web.AppRunner | None = None

    async def listen(self, port: int) -> None:
        """Take spans at `POST /v1/traces`; `GET /spans?trace=…` shows them as JSON."""
        app = web.Application(client_max_size=64 * 1_048_576)
        app.router.add_post("/v1/traces", self._receive)
        app.router.add_get("/spans", self._show)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def close(self) -> None:
        """Stop listening."""
        if self._runner:
            await self._runner.cleanup()

    def of(self, trace_id: str) -> list[Span]:
        """Everything known of one story, in the order it began."""
        return sorted((s for s in self._kept if s.trace_id == trace_id), key=lambda s: s.start)

    async def _receive(self, request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest()
        told.ParseFromString(await request.read())
        self._kept.extend(_read(told))
        return web.Response(content_type="application/x-protobuf")

    async def _show(self, request: web.Request) -> web.Response:
        trace = request.query.get("trace")
        found = self.of(trace) if trace else list(self._kept)
        return web.json_response([asdict(span) for span in found])


def _read(told: ExportTraceServiceRequest) -> Iterable[Span]:
    for resource in told.resource_spans:
        service = str(_attributes(resource.resource.attributes).get("service.name", ""))
        for scope in resource.scope_spans:
            for sent in scope.spans:
                yield _span(service, sent)


def _span(service: str, sent: Sent) -> Span:
    return Span(
        service=service,
        name=sent.name,
        kind=KINDS[sent.kind],
        trace_id=sent.trace_id.hex(),
        span_id=sent.span_id.hex(),
        parent_id=sent.parent_span_id.hex(),
        start=sent.start_time_unix_nano,
        end=sent.end_time_unix_nano,
        attributes=_attributes(sent.attributes),
        links=tuple(link.trace_id.hex() for link in sent.links),
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
