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
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased
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
from hoop_platform.span_export import open_tracer_provider

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_providers: dict[str, TracerProvider] = {}
_tracers: dict[str, tuple[Tracer, bool]] = {}
"""Of services that export spans: the tracer (asking the provider is slow), and whether its sampler
leaves the decision to the parent if there is one."""
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
    """Create the tracer of a service, as the standard OpenTelemetry variables say (`span_export`).

    Without a collector spans have only their ids, for responses and logs.
    """
    provider = open_tracer_provider(service, endpoint, version=version)
    if provider is not None:
        _providers[service] = provider
        tracer = provider.get_tracer("hoop")
        _tracers[service] = tracer, isinstance(provider.sampler, ParentBased)


def flush() -> None:
    """Export buffered spans, within two seconds; afterwards nothing is exported any more."""
    providers = list(_providers.values())
    _providers.clear()
    _tracers.clear()
    if providers:
        with ThreadPoolExecutor(len(providers)) as threads:
            list(threads.map(TracerProvider.shutdown, providers))


def span(
    title: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> AbstractContextManager[Span]:
    """A span. `parent` and `links` are `traceparent` strings; the default parent is the current span."""
    return _CurrentSpan(title, kind, parent, links, attributes)


class _CurrentSpan:
    """A span that is the current one inside `with`: at half the cost of the SDK's context managers."""

    __slots__ = ("_arguments", "_span", "_token")

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __enter__(self) -> Span:
        self._span = _start_span(*self._arguments)
        self._token = attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        detach(self._token)
        if isinstance(error, Exception):
            self._span.set_status(StatusCode.ERROR, type(error).__name__)  # its text may hold data
        self._span.end()


def _start_span(
    title: str,
    kind: Kind,
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> Span:
    """A span of this task's service; with ids alone if it is certain that it will not be exported.

    The SDK takes several times as long to find that out.
    """
    tracer, parent_decides = _tracers.get(service_of_task.get(), (None, True))
    remote = _read(parent) if parent else None
    above = remote or trace.get_current_span().get_span_context()
    unsampled = parent_decides and above.is_valid and not above.trace_flags.sampled
    if tracer is None or unsampled:
        return _ids_alone(above)
    return tracer.start_span(
        title,
        context=trace.set_span_in_context(NonRecordingSpan(remote)) if remote else None,
        kind=SpanKind[kind.upper()],
        links=[Link(span_context) for span_context in map(_read, links) if span_context],
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    )


def _ids_alone(above: SpanContext) -> Span:
    """A span that is not recorded, with ids as the SDK gives them. The decision of a caller goes on."""
    known = above.trace_id if above.is_valid else _ids.generate_trace_id()
    own = SpanContext(
        known, _ids.generate_span_id(), is_remote=False, trace_flags=above.trace_flags
    )
    return NonRecordingSpan(own)


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
    title = f"{params.method} {params.url.host}"
    context.span = _start_span(title, "client", attributes=attributes)
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
