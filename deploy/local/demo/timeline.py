"""The timeline of a trace: what was received, committed, announced, handled and called, and when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from local.stack.trace_collector import CollectedSpan

Act = Literal["received", "committed", "announced", "handled", "called", "ran"]
COMMIT = "commit"
"""The span of booking's one statement: its end is the commit."""


@dataclass(frozen=True)
class Line:
    """One line of the timeline. `ms`: milliseconds since the commit, negative before it."""

    ms: float
    who: str
    act: Act
    what: str


def timeline(spans: Sequence[CollectedSpan]) -> list[Line]:
    """The lines of one trace, ordered by time."""
    if not spans:
        return []
    zero = next((s.end for s in spans if s.name == COMMIT), spans[0].end)
    partitions = _partitions(spans)
    lines = [line for span in spans for line in _lines(span, partitions, zero)]
    return sorted(lines, key=lambda line: line.ms)


def _partitions(spans: Iterable[CollectedSpan]) -> Mapping[str, str]:
    """Topic and partition by the id of the producer's span, read from the consumers' spans."""
    return {
        span.parent_id: f"{a['messaging.destination.name']}[{a['messaging.destination.partition.id']}]"
        for span in spans
        if span.kind == "consumer"
        and "messaging.destination.partition.id" in (a := span.attributes)
    }


def _lines(span: CollectedSpan, partitions: Mapping[str, str], zero: int) -> Iterable[Line]:
    a = span.attributes
    start, end = (span.start - zero) / 1e6, (span.end - zero) / 1e6
    if span.kind == "server":
        yield Line(start, span.service, "received", span.name)
    elif span.name == COMMIT:
        yield Line(end, span.service, "committed", "appointment and events")
    elif span.kind == "producer":
        topic = a.get("messaging.destination.name")
        partition = partitions.get(span.span_id, str(topic))
        yield Line(start, span.service, "announced", f"{a.get('hoop.event', topic)} on {partition}")
    elif span.kind == "consumer":
        yield Line(end, span.service, "handled", str(a.get("hoop.event", span.name)))
    elif span.kind == "client" and "http.request.method" in a:
        call = f"{a['http.request.method']} {a['url.path']}"
        yield Line(end, span.service, "called", f"{call} → {a.get('http.response.status_code')}")
    elif span.kind == "client" or "hoop.subject" in a:
        yield Line(end, span.service, "ran", span.name)
