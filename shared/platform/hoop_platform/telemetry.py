"""Tracing, metrics and logs: one trace from request to effect, metrics to scrape, JSON log lines."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from types import SimpleNamespace
from typing import Any, Literal

from aiohttp import ClientSession, TraceConfig, TraceRequestEndParams, TraceRequestExceptionParams
from aiohttp import TraceRequestStartParams as StartParams
from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
)
from prometheus_client import Counter, Gauge, Histogram

from hoop_platform.logs import cause, configure_logs, log  # noqa: F401 -- one module for all of telemetry
from hoop_platform.logs import service as service_of_task

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_providers: dict[str, TracerProvider] = {}
_tracers: dict[str, Tracer] = {}  # cached: asking the provider is slow
_nowhere = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("hoop")
_unexported: set[str] = set()
"""Services whose spans are not exported."""
_ids = RandomIdGenerator()
_TRACEPARENT = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", re.ASCII)

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
reconcile_attempts = Counter(
    "hoop_reconcile_attempts_total", "Attempts by outcome", ["service", "kind", "outcome"]
)
loop_held = Counter("hoop_loop_held_total", "Times that the event loop was held")


@contextmanager
def requests_timer(service: str, route: str) -> Iterator[list[int]]:
    """Measure a request; the caller appends the response status to the list."""
    begun = time.perf_counter()
    status = [500]
    try:
        yield status
    finally:
        requests.labels(service, route, str(status[-1])).observe(time.perf_counter() - begun)


def enter(service: str) -> None:
    """Name the service whose logs, spans and metrics this task and its children write."""
    service_of_task.set(service)


def name() -> str:
    """The service of this task."""
    return service_of_task.get()


def export(service: str, endpoint: str | None, *, version: str = "0.1.0") -> None:
    """Create the tracer of a service; with an endpoint, spans are exported by OTLP over HTTP.

    Without an endpoint spans have only their ids, for responses and logs, which is four times as
    fast.
    """
    resource = Resource({"service.name": service, "service.version": version})
    sampler = DEFAULT_ON if endpoint else ALWAYS_OFF
    provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
    if endpoint:
        target = endpoint.rstrip("/") + "/v1/traces"
        provider.add_span_processor(
            BatchSpanProcessor(
                OTLPSpanExporter(endpoint=target, timeout=5), schedule_delay_millis=500
            )
        )
    _providers[service] = provider
    _tracers[service] = provider.get_tracer("hoop")
    (_unexported.discard if endpoint else _unexported.add)(service)


def flush() -> None:
    """Export buffered spans, within two seconds; afterwards nothing is exported any more."""
    providers = list(_providers.values())
    _providers.clear()
    _tracers.clear()
    _unexported.clear()
    if providers:
        with ThreadPoolExecutor(len(providers)) as threads:
            list(threads.map(_end, providers))


def _end(provider: TracerProvider) -> None:
    provider.force_flush(2000)
    provider.shutdown()


def _tracer() -> Tracer:
    """The tracer of this task's service; one that exports nothing if there is no service."""
    return _tracers.get(service_of_task.get(), _nowhere)


def span(
    title: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> AbstractContextManager[Span]:
    """A span. `parent` and `links` are `traceparent` strings; the default parent is the current span."""
    if service_of_task.get() in _unexported:
        return _UnexportedSpan(parent)
    return _recorded(title, kind, parent, links, attributes)


class _UnexportedSpan:
    """A span that is not exported: it has ids as the SDK gives them, at a third of the cost."""

    __slots__ = ("_parent", "_token")

    def __init__(self, parent: str | None) -> None:
        self._parent = parent

    def __enter__(self) -> Span:
        above = (_read(self._parent) if self._parent else None) or (
            trace.get_current_span().get_span_context()
        )
        known = above.trace_id if above.is_valid else _ids.generate_trace_id()
        opened = NonRecordingSpan(SpanContext(known, _ids.generate_span_id(), is_remote=False))
        self._token = attach(trace.set_span_in_context(opened))
        return opened

    def __exit__(self, *_: object) -> None:
        detach(self._token)


@contextmanager
def _recorded(
    title: str,
    kind: Kind,
    parent: str | None,
    links: Sequence[str],
    attributes: Mapping[str, Any] | None,
) -> Iterator[Span]:
    with _tracer().start_as_current_span(
        title,
        context=_context(parent),
        kind=SpanKind[kind.upper()],
        links=[Link(span_context) for span_context in map(_read, links) if span_context],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except Exception as error:
            opened.set_status(StatusCode.ERROR, type(error).__name__)  # its message may hold data
            raise


def _context(parent: str | None) -> Context | None:
    """The context to continue; None continues what this task is in."""
    span_context = _read(parent) if parent else None
    return trace.set_span_in_context(NonRecordingSpan(span_context)) if span_context else None


def _read(traceparent: str) -> SpanContext | None:
    """The context in a W3C `traceparent`; None for any other text."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    read = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return read if read.is_valid else None


def traceparent() -> str | None:
    """The current span as a W3C `traceparent`."""
    c = trace.get_current_span().get_span_context()
    return f"00-{c.trace_id:032x}-{c.span_id:016x}-{c.trace_flags:02x}" if c.is_valid else None


def trace_id() -> str:
    """The current trace's id, 32 hex digits; zeros without a trace."""
    return format(trace.get_current_span().get_span_context().trace_id, "032x")


def client_spans() -> TraceConfig:
    """For an aiohttp client session: a CLIENT span for each call, with its context in the headers."""
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
