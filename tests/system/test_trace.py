"""One booking is one trace: who called whom because of it is read from the spans that were exported."""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

pytestmark = pytest.mark.system

Edge = tuple[str, str, str]
Span = Mapping[str, Any]

FOLLOWERS = ("availability", "meetings", "sync-google", "notifications")
EDGES: set[Edge] = {
    *(("booking", "appointments AppointmentCreated", follower) for follower in FOLLOWERS),
    ("meetings", "call", "zoom"),
    ("meetings", "meetings MeetingLinkChanged", "booking"),
    *(("booking", "appointments AppointmentUpdated", follower) for follower in FOLLOWERS),
    ("sync-google", "call", "google"),
    ("notifications", "call", "mail"),
}
"""Who reaches whom because of a booking on a calendar with Zoom and Google: the picture of ARCHITECTURE.md."""


@pytest.fixture
async def booked(desk: Any, day: datetime) -> Any:
    """Books on a calendar that has everything; gives the answer. Arguments are request headers."""
    calendar = await desk.calendar(await desk.user(), google=True)

    async def book(**headers: str) -> Any:
        body = {
            "calendarId": calendar,
            "locationId": desk.facts["location_id"],
            "contactId": desk.facts["contact_ids"][0],
            "startTime": (day + timedelta(hours=15)).isoformat(),
        }
        path = "/calendars/events/appointments"
        answer = await desk.ask("POST", path, body, headers=headers)
        assert answer.status == 200, answer.body
        return answer

    return book


async def test_one_trace_holds_the_whole_story(desk: Any, booked: Any, eventually: Any) -> None:
    """Its edges between services, topics and providers are those of the picture, and no others."""
    answer = await booked()
    trace = answer.headers["X-Trace-Id"]
    assert trace == answer.body["traceId"]

    async def complete() -> bool:
        return _edges(await desk.system.spans(trace), desk.facts) >= EDGES

    await eventually(complete)
    spans = await desk.system.spans(trace)
    assert _edges(spans, desk.facts) == EDGES
    servers = [span for span in spans if span["kind"] == "server"]
    assert [(s["service"], s["name"]) for s in servers] == [
        ("booking", "POST /calendars/events/appointments")
    ]


async def test_nothing_hangs_in_the_air(desk: Any, booked: Any, eventually: Any) -> None:
    """Every span but the request's has its parent in the trace, and begins after it."""
    trace = (await booked()).headers["X-Trace-Id"]

    async def complete() -> bool:
        spans = await desk.system.spans(trace)
        return _edges(spans, desk.facts) >= EDGES and len(_orphans(spans)) == 1

    await eventually(complete)
    spans = await desk.system.spans(trace)
    known = {span["span_id"]: span for span in spans}
    assert [span["kind"] for span in _orphans(spans)] == ["server"]
    early = [
        (span["service"], span["name"])
        for span in spans
        if (parent := known.get(span["parent_id"])) and span["start"] < parent["start"]
    ]
    assert early == []


async def test_the_relay_points_at_what_it_carried(desk: Any, booked: Any, eventually: Any) -> None:
    """A batch is of many stories: its span has a trace of its own, and a link to each."""
    trace = (await booked()).headers["X-Trace-Id"]

    async def linked() -> bool:
        spans = await desk.system.spans("")
        return any(s["name"] == "outbox relay" and trace in s["links"] for s in spans)

    await eventually(linked)


async def test_the_callers_trace_goes_on(desk: Any, booked: Any, eventually: Any) -> None:
    """A `traceparent` (W3C Trace Context) is continued: by the answer, the server and the consumers."""
    trace, parent = secrets.token_hex(16), secrets.token_hex(8)
    answer = await booked(traceparent=f"00-{trace}-{parent}-01")
    assert answer.headers["X-Trace-Id"] == trace

    async def followed() -> bool:
        spans = await desk.system.spans(trace)
        consumers = {span["service"] for span in spans if span["kind"] == "consumer"}
        servers = [span["parent_id"] for span in spans if span["kind"] == "server"]
        return servers == [parent] and consumers >= {*FOLLOWERS}

    await eventually(followed)


async def test_a_broken_traceparent_begins_a_new_trace(desk: Any, booked: Any) -> None:
    """Nobody's nonsense becomes a trace id."""
    answer = await booked(traceparent="00-nonsense-01")
    assert len(answer.headers["X-Trace-Id"]) == 32
    assert int(answer.headers["X-Trace-Id"], 16) > 0


def _edges(spans: list[Span], facts: Mapping[str, Any]) -> set[Edge]:
    """Caller, what went over, callee: over a topic from producer to consumer, over HTTP or SMTP by port."""
    known = {span["span_id"]: span for span in spans}
    ports = {urlsplit(url).port: name for name, url in facts["simulators"].items()}
    ports[int(facts["mail"]["smtp"].rpartition(":")[2])] = "mail"
    found: set[Edge] = set()
    for span in spans:
        about, parent = span["attributes"], known.get(span["parent_id"])
        if span["kind"] == "client":
            found.add((span["service"], "call", ports.get(about.get("server.port"), "a stranger")))
        elif span["kind"] == "consumer" and parent:
            what = f"{about['messaging.destination.name']} {about['hoop.event']}"
            found.add((parent["service"], what, span["service"]))
    return found


def _orphans(spans: list[Span]) -> list[Span]:
    known = {span["span_id"] for span in spans}
    return [span for span in spans if span["parent_id"] not in known]
