"""Which spans are exported, and that a collector that is slow, away or overrun costs nobody any time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from aiohttp import ClientSession, web
from prometheus_client import REGISTRY
from span_sink import Sink, serving

from hoop_platform import telemetry
from hoop_platform.span_export import SpanExportSettings
from hoop_platform.telemetry import span, trace_id, traceparent
from local.testing.polling import eventually

TRACE, PARENT = "a" * 32, "b" * 16
Start = Callable[..., None]


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    found = Sink()
    async with serving(web.post("/v1/traces", found.take)) as url:
        found.url = url
        yield found
        found.open.set()
        await asyncio.to_thread(telemetry.flush)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts the export of a service of its own: `start(url, OTEL_…="value")`; returns its name."""

    def started(url: str | None, **variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        telemetry.export("teahouse", url)
        telemetry.enter("teahouse")

    yield started
    telemetry.enter("hoop")


async def names(sink: Sink) -> list[str]:
    """The names of all exported spans, once the export has ended."""
    await asyncio.to_thread(telemetry.flush)
    return [exported["name"] for exported in sink.spans]


def dropped(reason: str) -> float:
    labels = {"service": "teahouse", "reason": reason}
    return REGISTRY.get_sample_value("hoop_spans_dropped_total", labels) or 0


async def test_a_trace_is_sampled_unless_its_parent_is_not(sink: Sink, start: Start) -> None:
    """Without any variable; the decision of the parent goes on to those who are called."""
    start(sink.url)
    with span("root"):
        assert flag() == 1
    with span("sampled", parent=f"00-{TRACE}-{PARENT}-01"):
        assert (trace_id(), flag()) == (TRACE, 1)
    with span("unsampled", parent=f"00-{TRACE}-{PARENT}-00"):
        assert (trace_id(), flag()) == (TRACE, 0)
        with span("child of unsampled"):
            assert (trace_id(), flag()) == (TRACE, 0)
            assert PARENT not in str(traceparent())
    assert await names(sink) == ["root", "sampled"]


def flag() -> int:
    """The sampled flag of the current `traceparent`."""
    return int(str(traceparent())[-2:], 16) & 1


async def test_nothing_is_sampled_and_the_context_goes_on(sink: Sink, start: Start) -> None:
    """Ratio 0: ids for logs and responses, in one trace from caller to callee, and no span."""
    start(sink.url, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0")
    heard: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers["traceparent"])
        return web.Response()

    async with (
        serving(web.get("/", answer)) as url,
        ClientSession(trace_configs=[telemetry.client_spans()]) as http,
    ):
        with span("root"):
            root = trace_id()
            await http.get(url)
    assert heard[0].split("-")[1] == root
    assert int(heard[0][-2:], 16) & 1 == 0
    assert await names(sink) == []


@pytest.mark.parametrize(
    ("sampler", "exported"),
    [
        ("parentbased_traceidratio", ["sampled", "child"]),
        ("parentbased_always_off", ["sampled", "child"]),
        ("traceidratio", []),
        ("always_off", []),
        ("always_on", ["sampled", "child", "unsampled", "root"]),
    ],
)
async def test_samplers(sink: Sink, start: Start, sampler: str, exported: list[str]) -> None:
    """Those that are parent-based honour the flag of the parent; the others decide anew."""
    start(sink.url, OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0")
    with span("sampled", parent=f"00-{TRACE}-{PARENT}-01"), span("child"):
        pass
    with span("unsampled", parent=f"00-{TRACE}-{PARENT}-00"):
        pass
    with span("root"):
        pass
    assert sorted(await names(sink)) == sorted(exported)


async def test_a_ratio_decides_by_the_trace(sink: Sink, start: Start) -> None:
    """All spans of a trace or none, and some of many traces."""
    start(sink.url, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    for n in range(64):
        with span(f"root {n}"), span(f"child {n}"):
            pass
    exported = {name.partition(" ")[::2] for name in await names(sink)}
    roots = {n for kind, n in exported if kind == "root"}
    assert roots == {n for kind, n in exported if kind == "child"}
    assert 0 < len(roots) < 64


async def test_without_an_exporter_a_callers_decision_goes_on(start: Start) -> None:
    """A service that exports nothing does not decide for those that it calls."""
    start(None)
    for flags in ("00", "01"):
        with span("passing on", parent=f"00-{TRACE}-{PARENT}-{flags}") as opened:
            assert str(traceparent()).endswith(f"-{flags}")
            assert not opened.is_recording()


@pytest.mark.parametrize(
    "variables", [{"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}]
)
async def test_switched_off(sink: Sink, start: Start, variables: dict[str, str]) -> None:
    """Ids are there all the same."""
    start(sink.url, **variables)
    with span("root"):
        assert trace_id() != "0" * 32
    assert await names(sink) == []


async def test_to_the_console(start: Start, capsys: pytest.CaptureFixture[str], sink: Sink) -> None:
    start(sink.url, OTEL_TRACES_EXPORTER="console")
    with span("root"):
        pass
    assert await names(sink) == []
    assert '"name": "root"' in capsys.readouterr().out


async def test_where_spans_go_and_whose_they_are(sink: Sink, start: Start) -> None:
    """The URL for traces wins and is used as it is; headers, name and attributes are added."""
    start(
        "http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{sink.url}/v1/traces",
        OTEL_EXPORTER_OTLP_HEADERS="x-token=tea",
        OTEL_SERVICE_NAME="kitchen",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test,service.version=9",
    )
    with span("root"):
        pass
    assert await names(sink) == ["root"]
    assert sink.headers[0]["x-token"] == "tea"
    assert sink.spans[0]["resource"] == {
        "service.name": "kitchen",
        "service.version": "9",
        "deployment.environment": "test",
    }


async def test_spans_go_in_batches(sink: Sink, start: Start) -> None:
    """A full batch goes at once, the rest at the end."""
    start(sink.url, OTEL_BSP_SCHEDULE_DELAY="600000", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10")
    for n in range(25):
        with span(f"step {n}"):
            pass

    async def two_batches() -> bool:
        return len(sink.spans) == 20

    await eventually(two_batches)
    assert len(await names(sink)) == 25
    assert len(sink.headers) == 3


async def test_a_full_queue_drops_and_counts(sink: Sink, start: Start) -> None:
    """Memory is bounded while the collector is slow; every span is either exported or counted."""
    before = dropped("queue_full")
    sink.open.clear()
    start(sink.url, OTEL_BSP_MAX_QUEUE_SIZE="8", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="4")
    for n in range(100):
        with span(f"step {n}"):
            pass
    lost = dropped("queue_full") - before
    assert lost >= 100 - 8 - 4
    sink.open.set()
    assert len(await names(sink)) == 100 - lost


async def test_a_collector_that_hangs_holds_nobody(sink: Sink, start: Start) -> None:
    """Spans end and the export ends while no batch has had its response; what is lost is counted."""
    before = dropped("shutdown")
    sink.open.clear()
    start(sink.url, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="4", OTEL_EXPORTER_OTLP_TIMEOUT="600")
    for n in range(20):
        with span(f"step {n}"):
            pass
    async with asyncio.timeout(20):
        await asyncio.to_thread(telemetry.flush)
    assert not sink.spans
    sink.open.set()

    async def all_counted() -> bool:
        return dropped("shutdown") - before == 20 - len(sink.spans)

    await eventually(all_counted)


@pytest.mark.parametrize(("status", "reason"), [(503, "shutdown"), (400, "export_failed")])
async def test_a_collector_that_refuses_holds_nobody(
    sink: Sink, start: Start, status: int, reason: str
) -> None:
    """It asks to come again in a minute, or never: the export ends without it, the span is counted."""
    before = dropped(reason)
    sink.status = status
    start(sink.url, OTEL_EXPORTER_OTLP_TIMEOUT="600", OTEL_BSP_EXPORT_TIMEOUT="600000")
    with span("step"):
        pass
    async with asyncio.timeout(20):
        await asyncio.to_thread(telemetry.flush)

    async def counted() -> bool:
        return dropped(reason) - before == 1

    await eventually(counted)


@pytest.mark.parametrize("wrong", ["0", "-1", "soon"])
def test_a_wrong_value_is_ignored(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """As OpenTelemetry's standard asks: telemetry never keeps a service from its start."""
    for name in ("OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_TRACES_EXPORTER"):
        monkeypatch.setenv(name, wrong)
    assert SpanExportSettings() == SpanExportSettings.model_construct()


def test_one_batch_takes_no_longer_than_either_variable_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seconds for the one, milliseconds for the other, as the SDK and the standard have them."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "7")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "5")
    assert SpanExportSettings().seconds_of_export == 5
    monkeypatch.setenv("OTEL_BSP_EXPORT_TIMEOUT", "1500")
    assert SpanExportSettings().seconds_of_export == 1.5
