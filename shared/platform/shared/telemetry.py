"""What the system tells about itself: one trace per story, metrics to scrape, one log line per fact."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Literal

import orjson
import structlog
from aiohttp import ClientSession, TraceConfig, TraceRequestEndParams, TraceRequestExceptionParams
from aiohttp import TraceRequestStartParams as StartParams
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import Counter, Gauge, Histogram

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_service: ContextVar[str] = ContextVar("service", default="hoop")
_providers: dict[str, TracerProvider] = {}
_tracers: dict[str, Tracer] = {}  # to ask the provider for it again and again is slow
_nowhere = TracerProvider(shutdown_on_exit=False).get_tracer("hoop")
_w3c = TraceContextTextMapPropagator()

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

requests = Histogram(
    "hoop_http_request_seconds", "HTTP", ["service", "route", "status"], buckets=LATENCY
)
published = Histogram(
    "hoop_outbox_publish_seconds", "From commit to acknowledgement", ["service"], buckets=LATENCY
)
outbox_depth = Gauge("hoop_outbox_depth", "Rows not yet acknowledged", ["service"])
outbox_age = Gauge("hoop_outbox_age_seconds", "Age of the oldest unparked row", ["service"])
outbox_parked = Gauge("hoop_outbox_parked", "Rows that cannot be sent", ["service"])
consumed = Counter("hoop_consumed_total", "Records by fate", ["service", "topic", "fate"])
lag = Gauge("hoop_consumer_lag", "Records not yet handled", ["service", "topic", "partition"])
wishes = Counter("hoop_wishes_total", "Attempts by outcome", ["service", "kind", "outcome"])


@contextmanager
def requests_timer(service: str, route: str) -> Iterator[list[int]]:
    """Measure a request; the caller puts the status it answered into the list."""
    begun = time.perf_counter()
    status = [500]
    try:
        yield status
    finally:
        requests.labels(service, route, str(status[-1])).observe(time.perf_counter() - begun)


def enter(service: str) -> None:
    """From here on, in this task and its children, everything is said in the name of `service`."""
    _service.set(service)


def name() -> str:
    """The service that this task belongs to."""
    return _service.get()


def export(service: str, endpoint: str | None, *, version: str = "0.1.0") -> None:
    """Make the tracer of a service; with an endpoint, its spans go there by OTLP over HTTP."""
    resource = Resource({"service.name": service, "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if endpoint:
        target = endpoint.rstrip("/") + "/v1/traces"
        provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=target, timeout=5), schedule_delay_millis=500
            )
        )
    _providers[service] = provider
    _tracers[service] = provider.get_tracer("hoop")


def flush() -> None:
    """Send what is still held back, two seconds at most for each service."""
    for provider in _providers.values():
        provider.force_flush(2000)
        provider.shutdown()
    _providers.clear()
    _tracers.clear()


def _tracer() -> Tracer:
    """The tracer of this task's service; one that exports nothing, where no service is entered."""
    return _tracers.get(_service.get(), _nowhere)


@contextmanager
def span(
    title: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> Iterator[Span]:
    """A step of a story. `parent` and `links` are `traceparent` strings; else the current span."""
    with _tracer().start_as_current_span(
        title,
        context=_w3c.extract({"traceparent": parent}) if parent else None,
        kind=SpanKind[kind.upper()],
        links=[Link(context) for context in map(_context, links) if context.is_valid],
        attributes=attributes,
    ) as opened:
        yield opened


def _context(traceparent: str) -> trace.SpanContext:
    return trace.get_current_span(_w3c.extract({"traceparent": traceparent})).get_span_context()


def traceparent() -> str | None:
    """The current span, as the W3C header says it."""
    carrier: dict[str, str] = {}
    _w3c.inject(carrier)
    return carrier.get("traceparent")


def trace_id() -> str:
    """The current trace's id, 32 hex digits; zeros when nothing is traced."""
    return format(trace.get_current_span().get_span_context().trace_id, "032x")


def client_spans() -> TraceConfig:
    """For an aiohttp client session: a CLIENT span for each call, its context sent along."""
    config = TraceConfig()
    config.on_request_start.append(_call_begins)
    config.on_request_end.append(_call_ends)
    config.on_request_exception.append(_call_fails)
    return config


async def _call_begins(_: ClientSession, context: SimpleNamespace, params: StartParams) -> None:
    attributes: dict[str, str | int] = {
        "http.request.method": params.method,
        "server.address": params.url.host or "",
        "server.port": params.url.port or 0,
        "url.path": params.url.path,
    }
    context.span = _tracer().start_span(
        f"{params.method} {params.url.host}", kind=SpanKind.CLIENT, attributes=attributes
    )
    propagate.inject(params.headers, trace.set_span_in_context(context.span))


async def _call_ends(
    _: ClientSession, context: SimpleNamespace, end: TraceRequestEndParams
) -> None:
    context.span.set_attribute("http.response.status_code", end.response.status)
    context.span.end()


async def _call_fails(
    _: ClientSession, context: SimpleNamespace, failed: TraceRequestExceptionParams
) -> None:
    context.span.set_status(StatusCode.ERROR, type(failed.exception).__name__)
    context.span.end()


def _add_context(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    event["service"] = _service.get()
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
    return event


def logs(level: str = "INFO") -> None:
    """One JSON line per fact, on standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_context,  # type: ignore[list-item] # structlog types events as mutable mappings
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


log: structlog.stdlib.BoundLogger = structlog.get_logger()
"""The logger: `log.info("booked", appointment=…)`. Facts with fields, once, at the edge."""
