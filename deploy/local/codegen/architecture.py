"""The table of ARCHITECTURE.md: which service announces an event, and which services subscribe to it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hoop_events.base import Event
from hoop_events.catalogue import EVENTS
from hoop_platform.service.service import Service
from local.codegen.markers import replaced
from local.paths import ROOT
from local.stack.topology import services

DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN = "<!-- begin: ./hoop codegen -->"
END = "<!-- end -->"


@dataclass(frozen=True)
class EventRow:
    """One type of event: its topic and key, its producers and its consumer groups.

    tables: whether every service with routes also keeps the topic as a global table.
    """

    event: str
    topic: str
    key: str
    producers: tuple[str, ...]
    groups: tuple[str, ...]
    tables: bool


def rows(known: Iterable[Service]) -> list[EventRow]:
    """One row for each event of the catalogue."""
    listed = tuple(known)
    return [_row(event, listed) for event in EVENTS]


def _row(event: type[Event], known: tuple[Service, ...]) -> EventRow:
    return EventRow(
        event=event.type,
        topic=event.topic,
        key=event.key,
        producers=tuple(s.name for s in known if event in s.announces),
        groups=tuple(s.name for s in known if event in s.subscriptions),
        tables=event.global_table,
    )


def table(found: Iterable[EventRow]) -> str:
    """The rows as Markdown, without a line break at the end."""
    lines = ["| event | topic | key | announced by | listened to by |", "|---|---|---|---|---|"]
    lines += [
        f"| `{row.event}` | `{row.topic}` | {row.key} | {_names(row.producers)} | {_names(_readers(row))} |"
        for row in found
    ]
    return "\n".join(lines)


def _readers(row: EventRow) -> Iterator[str]:
    yield from row.groups
    if row.tables:
        yield "every service with routes (table)"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "nobody yet"


def rendered(document: str, known: Iterable[Service] | None = None) -> str:
    """The document with the table of these services (default: all of them) between its markers."""
    found = rows(services() if known is None else known)
    return replaced(document, f"{table(found)}\n", begin=BEGIN, end=END)
