"""Who announces what and who listens, told by the services themselves: the table of ARCHITECTURE.md.

`python -m local.codegen.architecture` prints it, `--write` puts it between the markers of the document.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hoop_events.base import Event
from hoop_events.catalogue import EVENTS
from hoop_platform.service.service import Service
from local.stack.topology import SERVICES, service

DOCUMENT = Path(__file__).parents[3] / "ARCHITECTURE.md"
BEGIN = "<!-- begin: python -m local.codegen.architecture --write -->"
END = "<!-- end -->"


class Unwritten(Exception):
    """The document lacks the markers between which the table belongs."""


@dataclass(frozen=True)
class Row:
    """One type of event: where it is told, by whom and to whom."""

    event: str
    topic: str
    key: str
    producers: tuple[str, ...]
    groups: tuple[str, ...]
    tables: bool


def rows(services: Iterable[Service]) -> list[Row]:
    """One row for each event there is."""
    known = tuple(services)
    return [_row(event, known) for event in EVENTS]


def _row(event: type[Event], services: tuple[Service, ...]) -> Row:
    return Row(
        event=event.type,
        topic=event.topic,
        key=event.key,
        producers=tuple(s.name for s in services if event in s.announces),
        groups=tuple(s.name for s in services if event in s.subscriptions),
        tables=event.global_table,
    )


def table(found: Iterable[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| event | topic | key | announced by | listened to by |", "|---|---|---|---|---|"]
    lines += [
        f"| `{row.event}` | `{row.topic}` | {row.key} | {_names(row.producers)} | {_names(_readers(row))} |"
        for row in found
    ]
    return "\n".join(lines)


def _readers(row: Row) -> Iterator[str]:
    yield from row.groups
    if row.tables:
        yield "every service with routes (table)"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "nobody yet"


def written(document: str) -> str:
    """The document with the table as the services have it now."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise Unwritten(f"{DOCUMENT.name} needs the lines {BEGIN} and {END}")
    said = table(rows(map(service, SERVICES)))
    return f"{before}{BEGIN}\n{said}\n{END}{after}"


def main() -> None:
    """Print the table, or write it into the document."""
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(written(DOCUMENT.read_text()))
    else:
        print(table(rows(map(service, SERVICES))))


if __name__ == "__main__":
    main()
