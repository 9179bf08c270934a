"""The export of spans: batched, sampled and sent as the standard OpenTelemetry variables say.

The SDK reads most of these variables by itself. Here are those that it leaves to its caller, and two
things that it does not do: counting the spans that are lost, and ending in time.
"""

import sys
from collections.abc import Sequence
from threading import Lock, Thread
from typing import Any, Literal

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from prometheus_client import Counter
from pydantic import (
    AliasChoices,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from hoop_platform.logs import log

SHUTDOWN_SECONDS = 2.0

spans_dropped = Counter(
    "hoop_spans_dropped_total", "Sampled spans that were not exported", ["service", "reason"]
)


class SpanExportSettings(BaseSettings):
    """The standard variables that the SDK does not read by itself, or not as we need them."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    otel_sdk_disabled: bool = Field(False, description="no spans at all; ids stay")
    otel_traces_exporter: Literal["otlp", "console", "none"] | None = Field(
        None, description="by default otlp if an endpoint is set"
    )
    otel_exporter_otlp_traces_endpoint: str | None = Field(
        None, description="the full URL, used as it is"
    )
    otel_exporter_otlp_timeout: float = Field(
        10,
        gt=0,
        description="seconds for one batch with its retries",
        validation_alias=AliasChoices(
            "otel_exporter_otlp_traces_timeout", "otel_exporter_otlp_timeout"
        ),
    )
    otel_bsp_schedule_delay: float = Field(500, gt=0, description="ms between exports")
    otel_bsp_max_queue_size: int = Field(2048, gt=0, description="spans that wait for export")
    otel_bsp_max_export_batch_size: int = Field(512, gt=0, description="spans in one export")
    otel_bsp_export_timeout: float = Field(30_000, gt=0, description="ms for one export")

    @field_validator("*", mode="wrap")
    @classmethod
    def _ignore_if_wrong(
        cls, value: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo
    ) -> Any:
        """As the standard asks: a value that cannot be used is logged, and the default used."""
        try:
            return validate(value)
        except ValidationError as error:
            field = str(info.field_name)
            log.warning("setting ignored", name=field.upper(), reason=error.errors()[0]["msg"])
            return cls.model_fields[field].default

    @property
    def seconds_of_export(self) -> float:
        """The longest time for one batch, with its retries; the SDK does not apply the second limit."""
        return min(self.otel_exporter_otlp_timeout, self.otel_bsp_export_timeout / 1000)

    def exporter(self, endpoint: str | None) -> SpanExporter | None:
        """The exporter; None if no spans are to be recorded. `endpoint` is the collector's base URL."""
        default = "otlp" if endpoint or self.otel_exporter_otlp_traces_endpoint else "none"
        kind = "none" if self.otel_sdk_disabled else self.otel_traces_exporter or default
        match kind:
            case "otlp":
                url, seconds = self._traces_url(endpoint), self.seconds_of_export
                return OTLPSpanExporter(endpoint=url, timeout=seconds)
            case "console":
                return ConsoleSpanExporter(out=sys.stdout)
            case _:
                return None

    def _traces_url(self, endpoint: str | None) -> str | None:
        """None: the SDK has its own default."""
        if self.otel_exporter_otlp_traces_endpoint or endpoint is None:
            return self.otel_exporter_otlp_traces_endpoint
        return endpoint.rstrip("/") + "/v1/traces"


class _CountingExporter(SpanExporter):
    """Counts the spans of batches that were not accepted, and says how many spans have left the queue."""

    def __init__(self, exporter: SpanExporter, service: str) -> None:
        self._exporter = exporter
        self._service = service
        self._ended = False
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = SpanExportResult.FAILURE if self._ended else self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            reason = "shutdown" if self._ended else "export_failed"
            spans_dropped.labels(self._service, reason).inc(len(spans))
        return result

    def shutdown(self) -> None:
        """End a batch that waits for a retry, and refuse those that follow."""
        if not self._ended:
            self._ended = True
            self._exporter.shutdown()


class SpanBatches(BatchSpanProcessor):
    """The SDK's batches, with the spans counted that find the queue full, and a shutdown in time.

    The SDK counts them for its own metrics only, and its shutdown takes as long as the collector.
    """

    def __init__(self, exporter: SpanExporter, service: str, settings: SpanExportSettings) -> None:
        self._counting = _CountingExporter(exporter, service)
        self._full = spans_dropped.labels(service, "queue_full")
        self._lock = Lock()
        self._put = 0
        self._size = settings.otel_bsp_max_queue_size
        super().__init__(
            self._counting,
            max_queue_size=self._size,
            schedule_delay_millis=settings.otel_bsp_schedule_delay,
            max_export_batch_size=min(settings.otel_bsp_max_export_batch_size, self._size),
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Queue an ended span for export, or drop it if the queue is full. Never waits."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            full = self._put - self._counting.taken >= self._size
            self._put += not full
        if full:
            self._full.inc()
        else:
            super().on_end(span)

    def shutdown(self) -> None:
        """Export what is queued, within `SHUTDOWN_SECONDS`; the rest is dropped."""
        ending = Thread(target=super().shutdown, name="end of span export", daemon=True)
        ending.start()
        ending.join(SHUTDOWN_SECONDS)
        self._counting.shutdown()


def open_tracer_provider(
    service: str, endpoint: str | None, *, version: str
) -> TracerProvider | None:
    """What makes the spans of a service, with the sampler of `OTEL_TRACES_SAMPLER`; None: no spans."""
    settings = SpanExportSettings()
    exporter = settings.exporter(endpoint)
    if exporter is None:
        return None
    resource = Resource({"service.name": service, "service.version": version})
    provider = TracerProvider(
        resource=resource.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    provider.add_span_processor(SpanBatches(exporter, service, settings))
    return provider
