"""Effect times out of the spans that services export: the commit of a booking, and each first effect."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Span = Mapping[str, Any]

EFFECTS: Mapping[str, str] = {
    "availability": "slot taken (handled)",
    "meetings": "call to Zoom begun",
    "sync-google": "call to Google begun",
    "notifications": "mail accepted (has the link)",
}

COMMIT_SPANS = ("commit", "settle")
"""The name of the span, and the name it had in commits that this tree is compared with."""


@dataclass(frozen=True)
class EffectTimes:
    """Milliseconds from the commit of one booking to its first effect, by consumer."""

    after: Mapping[str, float]

    @property
    def missing(self) -> list[str]:
        return [service for service in EFFECTS if service not in self.after]


def effect_times(spans: Iterable[Span]) -> dict[str, EffectTimes]:
    """Return effect times by appointment id; effects that were not exported yet are missing in them."""
    kept = list(spans)
    commits = _commits(kept)
    owners = {span["trace_id"]: subject for subject, span in commits.items()}
    firsts: dict[str, dict[str, int]] = defaultdict(dict)
    for span, service, moment in _effects(kept):
        subject = owners.get(span["trace_id"])
        if subject is not None:
            known = firsts[subject]
            known[service] = min(known.get(service, moment), moment)
    return {
        subject: EffectTimes({s: (at - commit["end"]) / 1e6 for s, at in firsts[subject].items()})
        for subject, commit in commits.items()
    }


def _commits(spans: Iterable[Span]) -> dict[str, Span]:
    """Return the first span of the commit of each appointment: its end is the commit."""
    found: dict[str, Span] = {}
    for span in sorted(spans, key=_end):
        if span["name"] in COMMIT_SPANS:
            found.setdefault(span["attributes"]["hoop.appointment"], span)
    return found


def _end(span: Span) -> int:
    return int(span["end"])


def _effects(spans: Iterable[Span]) -> Iterable[tuple[Span, str, int]]:
    for span in spans:
        service = span["service"]
        is_effect = _IS_EFFECT.get(service)
        if is_effect and is_effect(span):
            begun = service in ("meetings", "sync-google")
            yield span, service, int(span["start" if begun else "end"])


def _is_call(path: str) -> Callable[[Span], bool]:
    def holds(span: Span) -> bool:
        a = span["attributes"]
        return a.get("http.request.method") == "POST" and str(a.get("url.path")).endswith(path)

    return holds


def _is_handled(span: Span) -> bool:
    return bool(span["kind"] == "consumer" and span["name"] == "appointments process")


def _is_mail(span: Span) -> bool:
    return bool(span["kind"] == "client" and str(span["name"]).startswith("SMTP"))


_IS_EFFECT: Mapping[str, Callable[[Span], bool]] = {
    "availability": _is_handled,
    "meetings": _is_call("/meetings"),
    "sync-google": _is_call("/events"),
    "notifications": _is_mail,
}
