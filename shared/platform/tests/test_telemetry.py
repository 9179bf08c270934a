"""What is told about itself: one trace from the decision to its effects, lines of JSON, and no secrets in either."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import pairwise

import pytest
from aiohttp import ClientSession, web
from noted import NOON, Noted, going, note, say
from shop import Thing
from span_sink import Sink, serving

from hoop_platform import telemetry
from hoop_platform.clock import Clock
from hoop_platform.db.database import Database, Tx
from hoop_platform.ids import new_id
from hoop_platform.kafka.batch import Subscriptions
from hoop_platform.kafka.group import ConsumerGroup
from hoop_platform.logs import cause, traceback_of
from hoop_platform.outbox.relay import Relay
from hoop_platform.reconcile.desired_state import Claimed, DesiredState
from hoop_platform.reconcile.outcome import Done, Outcome
from hoop_platform.reconcile.work import desire
from hoop_platform.reconcile.worker import Worker
from hoop_platform.telemetry import span, trace_id, traceparent
from local.servers.ports import free_ports
from local.testing.polling import eventually


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    found = Sink()
    async with serving(web.post("/v1/traces", found.take)) as url:
        found.url = url
        telemetry.export("teahouse", url)
        telemetry.enter("teahouse")
        yield found
        telemetry.enter("hoop")
        await asyncio.to_thread(telemetry.flush)


@pytest.fixture
async def provider() -> AsyncIterator[str]:
    """Answers with the traceparent that came."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("traceparent", ""))

    async with serving(web.get("/meetings", answer)) as url:
        yield url


async def test_one_trace_from_the_decision_to_the_provider(
    database: Database, kafka_bootstrap: str, noted: type[Noted], sink: Sink, provider: str
) -> None:
    """Decision → outbox → relay → consumer → desired state → job → provider's API: children, one of the other."""
    subject = new_id()
    async with ClientSession(trace_configs=[telemetry.client_spans()]) as http:
        exported: list[str] = []

        async def hear(db: Tx, _: Noted, _now: datetime) -> None:
            said = (new_id(), "meeting", subject, "zoom", "ada", NOON, {}, 1)
            await desire(db, DesiredState(*said))

        async def perform(_: Claimed) -> Outcome:
            async with http.get(f"{provider}/meetings", params={"token": "canary"}) as response:
                exported.append(await response.text())
            return Done()

        group = ConsumerGroup(
            "teahouse",
            database,
            Subscriptions({noted: hear}),
            bootstrap=kafka_bootstrap,
            clock=Clock(),
        )
        relay = Relay(database, bootstrap=kafka_bootstrap)
        async with going(relay, group, Worker(database, {"meeting": perform})):
            with span("POST /tea", kind="server"):
                trace = trace_id()
                await say(database, note(noted, subject, 1))
            await eventually(lambda: _some(exported), within=20)
    await asyncio.to_thread(telemetry.flush)
    spans, chain = sink.of(trace), ["POST /tea", f"{noted.topic} publish", f"{noted.topic} process"]
    chain += ["meeting zoom", "GET 127.0.0.1"]
    for parent, child in pairwise(chain):
        assert spans[child]["parent"] == spans[parent]["id"], (parent, child)
    assert exported[0].split("-")[1:3] == [trace, spans["GET 127.0.0.1"]["id"]]
    assert {s["service"] for s in spans.values()} == {"teahouse"}
    assert any(trace in s["links"] for s in sink.spans if s["name"] == "outbox relay")
    assert not any("canary" in s["text"] for s in sink.spans)


async def _some(exported: list[str]) -> bool:
    return bool(exported)


async def test_a_call_that_fails_is_marked_as_failed(sink: Sink) -> None:
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}/meetings"
    with span("job") as opened:
        trace = trace_id()
        async with ClientSession(trace_configs=[telemetry.client_spans()]) as http:
            with pytest.raises(OSError, match="Cannot connect"):
                await http.get(nowhere)
        assert opened.is_recording()
    await asyncio.to_thread(telemetry.flush)
    assert "STATUS_CODE_ERROR" in sink.of(trace)["GET 127.0.0.1"]["text"]


async def test_a_failed_step_says_what_kind_of_error_and_not_its_text(sink: Sink) -> None:
    def fail() -> None:
        with span("step"):
            raise KeyError("canary")

    with span("job"):
        trace = trace_id()
        with pytest.raises(KeyError):
            fail()
    await asyncio.to_thread(telemetry.flush)
    exported = sink.of(trace)["step"]["text"]
    assert "KeyError" in exported
    assert "canary" not in exported


async def test_without_a_collector_ids_are_there_and_nothing_waits() -> None:
    """A trace has its id in answers and logs, exported or not; a collector that is away costs nothing."""
    with span("lonely"):
        assert trace_id() != "0" * 32
        assert (traceparent() or "").startswith(f"00-{trace_id()}-")
    assert trace_id() == "0" * 32
    assert traceparent() is None
    telemetry.export("lonely", f"http://127.0.0.1:{free_ports(1)[0]}")
    telemetry.enter("lonely")
    begun = asyncio.get_running_loop().time()
    for _ in range(100):
        with span("lonely"):
            pass
    assert asyncio.get_running_loop().time() - begun < 0.5


@pytest.mark.parametrize("wrong", ["", "x", "00-1-2-3", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_parent_that_is_none_begins_a_trace(wrong: str) -> None:
    with span("first", parent=wrong, links=[wrong]):
        assert trace_id() != "0" * 32


SAYING = """
import logging, sys
from hoop_platform import telemetry
from hoop_platform.telemetry import log, span
telemetry.configure_logs()
telemetry.enter("teahouse")
log.info("booked", cups=2)
log.debug("never")
with span("step"):
    log.warning("in a step")
try:
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise RuntimeError("outer") from error
except RuntimeError as error:
    log.error("failed", exc_info=error)
logging.getLogger("asyncio").error("from %s", "elsewhere")
logging.getLogger("aiohttp").info("never")
logging.getLogger("aiokafka").error("never")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("some.library").exception("it failed")
"""


def test_every_line_of_the_log_is_json() -> None:
    """Ours and the libraries': with time, level, service and, inside a step, its trace."""
    done = subprocess.run(
        [sys.executable, "-c", SAYING], capture_output=True, text=True, check=True, timeout=60
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == [
        "booked",
        "in a step",
        "failed",
        "from elsewhere",
        "it failed",
    ]
    assert {line["service"] for line in lines} == {"teahouse"}
    assert all({"level", "timestamp"} <= line.keys() for line in lines)
    assert lines[0]["cups"] == 2
    assert len(lines[1]["trace_id"]) == 32
    assert "trace_id" not in lines[0]
    assert lines[2]["exception"].index("inner") < lines[2]["exception"].index(
        "RuntimeError('outer')"
    )
    assert "ZeroDivisionError" in lines[4]["exception"]


async def test_what_an_error_was_about_stays_out_of_the_log(database: Database) -> None:
    """Postgres quotes rows, pydantic quotes its input: neither quotation is repeated."""
    await database.execute("CREATE TABLE guest (email text PRIMARY KEY)")
    await _insert(database)
    errors: list[BaseException] = []
    for fail in (_insert(database), _misread()):
        with pytest.raises(Exception, match="canary") as caught:
            await fail
        errors.append(caught.value)
    for error in [*errors, ExceptionGroup("both", errors)]:  # type: ignore[type-var] # they are
        assert "canary" not in cause(error) + traceback_of(error)
    assert "guest_pkey" in cause(errors[0])
    assert "name" in cause(errors[1])
    assert "test_telemetry.py" in traceback_of(errors[1])


CANARY = "canary@example.com"


async def _insert(database: Database) -> None:
    await database.execute("INSERT INTO guest VALUES ($1)", CANARY)


async def _misread() -> None:
    Thing.model_validate({"name": [CANARY]})


async def test_requests_are_measured(caplog: pytest.LogCaptureFixture) -> None:
    with telemetry.requests_timer("teahouse", "/tea") as status:
        status.append(201)
    child = telemetry.requests.labels("teahouse", "/tea", "201")
    assert child._sum.get() > 0
    assert caplog.get_records("call") == []
    assert logging.getLogger("aiokafka") is not None
