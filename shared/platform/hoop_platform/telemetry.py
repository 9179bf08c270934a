"""What the system tells about itself: one trace per story, metrics to scrape, one log line per fact."""

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

from hoop_platform.logs import cause, log, logs  # noqa: F401 -- users find all that is told in one place
from hoop_platform.logs import service as service_of_task

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_providers: dict[str, TracerProvider] = {}
_tracers: dict[str, Tracer] = {}  # to ask the provider for it again and again is slow
_nowhere = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("hoop")
_unseen: set[str] = set()
"""Services whose spans go nowhere."""
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
loop_held = Counter("hoop_loop_held_total", "Times that one thing kept all others waiting")


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
    service_of_task.set(service)


def name() -> str:
    """The service that this task belongs to."""
    return service_of_task.get()


def export(service: str, endpoint: str | None, *, version: str = "0.1.0") -> None:
    """Make the tracer of a service; with an endpoint, its spans go there by OTLP over HTTP.

    Without one they have their ids, for answers and logs, and nothing else, which is four times
    as fast.
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
    (_unseen.discard if endpoint else _unseen.add)(service)


def flush() -> None:
    """Send what is still held back, two seconds at most; afterwards nothing is exported any more."""
    providers = list(_providers.values())
    _providers.clear()
    _tracers.clear()
    _unseen.clear()
    if providers:
        with ThreadPoolExecutor(len(providers)) as threads:
            list(threads.map(_end, providers))


def _end(provider: TracerProvider) -> None:
    provider.force_flush(2000)
    provider.shutdown()


def _tracer() -> Tracer:
    """The tracer of this task's service; one that exports nothing, where no service is entered."""
    return _tracers.get(service_of_task.get(), _nowhere)


def span(
    title: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
) -> AbstractContextManager[Span]:
    """A step of a story. `parent` and `links` are `traceparent` strings; else the current span."""
    if service_of_task.get() in _unseen:
        return _Unseen(parent)
    return _recorded(title, kind, parent, links, attributes)


class _Unseen:
    """A step that nobody is shown: it has its ids, as the SDK would give them, for a third of the time."""

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
            opened.set_status(StatusCode.ERROR, type(error).__name__)  # its text may hold data
            raise


def _context(parent: str | None) -> Context | None:
    """The context to continue; None continues what this task is in."""
    span_context = _read(parent) if parent else None
    return trace.set_span_in_context(NonRecordingSpan(span_context)) if span_context else None


def _read(traceparent: str) -> SpanContext | None:
    """The W3C header's text, read; None when it is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    read = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return read if read.is_valid else None


def traceparent() -> str | None:
    """The current span, as the W3C header says it."""
    c = trace.get_current_span().get_span_context()
    return f"00-{c.trace_id:032x}-{c.span_id:016x}-{c.trace_flags:02x}" if c.is_valid else None


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
