"""From spans to a story: what was asked, what was announced, what each consumer did, and when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from local.stack.trace_collector import Span

Act = Literal["asked", "decided", "announced", "heard", "called", "did"]
COMMIT = "settle"
"""The span of booking's one statement: its end is the commit."""


@dataclass(frozen=True)
class Line:
    """`ms` are milliseconds since the commit, negative before it."""

    ms: float
    who: str
    act: Act
    what: str


def timeline(spans: Sequence[Span]) -> list[Line]:
    """The story of one trace."""
    if not spans:
        return []
    zero = next((s.end for s in spans if s.name == COMMIT), spans[0].end)
    places = _places(spans)
    lines = [line for span in spans for line in _lines(span, places, zero)]
    return sorted(lines, key=lambda line: line.ms)


def _places(spans: Iterable[Span]) -> Mapping[str, str]:
    """Topic and partition of each announcement, as its consumers saw it."""
    return {
        span.parent_id: f"{a['messaging.destination.name']}[{a['messaging.destination.partition.id']}]"
        for span in spans
        if span.kind == "consumer"
        and "messaging.destination.partition.id" in (a := span.attributes)
    }


def _lines(span: Span, places: Mapping[str, str], zero: int) -> Iterable[Line]:
    a = span.attributes
    began, ended = (span.start - zero) / 1e6, (span.end - zero) / 1e6
    if span.kind == "server":
        yield Line(began, span.service, "asked", span.name)
    elif span.name == COMMIT:
        yield Line(ended, span.service, "decided", "committed")
    elif span.kind == "producer":
        topic = a.get("messaging.destination.name")
        where = places.get(span.span_id, str(topic))
        yield Line(began, span.service, "announced", f"{a.get('hoop.event', topic)} on {where}")
    elif span.kind == "consumer":
        yield Line(ended, span.service, "heard", str(a.get("hoop.event", span.name)))
    elif span.kind == "client" and "http.request.method" in a:
        call = f"{a['http.request.method']} {a['url.path']}"
        yield Line(ended, span.service, "called", f"{call} → {a.get('http.response.status_code')}")
    elif span.kind == "client" or "hoop.subject" in a:
        yield Line(ended, span.service, "did", span.name)
