"""The step "event contracts" of `./hoop check`: the events keep what every published revision promised.

`python -m local.checks.event_contracts ROOT` compares the models in `hoop_events` with all that was
published in the tree, and prints each breach as a paragraph that says how to mend it.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from hoop_events import codec
from hoop_events.base import Event
from hoop_events.catalogue import EVENTS
from hoop_events.json_schema import json_schema
from hoop_events.revisions import REVISIONS
from local.checks.published import FOLDER, MANIFEST, Published
from local.checks.schema_changes import added_fields, breaking_changes, losses
from local.checks.schema_form import plain
from local.checks.schema_rules import Break, Rule

COMMAND = "./hoop codegen"
NEVER = "Published files never change, since records of their revision stay in the topics"
DECODE = "Such records are in the topic and would become dead letters: make the model accept them"
SURVIVE = "Something that was published is lost or means something else: keep each field as it was"
SAME_BYTES = (
    "The encoding of a revision never changes: deduplication may compare bytes, so restore it"
)
Found = tuple[str, Break, list[int]]
"""An event type, a breaking change, and the revisions that it breaks."""


def breaches(root: Path, events: Iterable[type[Event]] = EVENTS) -> Iterator[str]:
    """All breaches of a tree: edited files, breaking changes, schemas that are missing, golden records."""
    published, known = Published(root), {event.type: event for event in events}
    yield from edited_files(published)
    yield from broken_promises(published, known)
    for name, event in sorted(known.items()):
        if published.is_intact(name) and not [*breaks_of(name, known, published)]:
            yield from missing_revision(event, published)
            yield from golden_breaches(event, published)


def edited_files(published: Published) -> Iterator[str]:
    """Files of the manifest that are not as they were published, and revisions that it lacks."""
    for name in published.digests:
        if (state := published.state_of(name)) != "intact":
            yield (
                f"{FOLDER}/{name} was published and has been {state}. {NEVER}: restore it from the "
                f"history of the repository. To change an event, change its model and run {COMMAND}."
            )
    for event in published.types():
        numbers = published.numbers(event)
        if gaps := set(range(1, published.newest(event) + 1)) - {*numbers}:
            yield (
                f"{MANIFEST}: it lacks revision {min(gaps)} of {event}. {NEVER}: restore the line and "
                "its files from the history of the repository."
            )


def breaks_of(name: str, known: Mapping[str, type[Event]], published: Published) -> Iterator[Found]:
    """The breaking changes of one event type against every revision, each once."""
    revisions = published.schemas.get(name, {})
    if name not in known:
        yield name, Break(Rule.TYPE_REMOVED, "the event", "is gone"), published.numbers(name)
        return
    today = json_schema(known[name], published.newest(name) + 1)
    found: dict[Break, list[int]] = {}
    for number, schema in (revisions or {0: today}).items():
        for each in breaking_changes(schema, today):
            found.setdefault(each, []).append(number)
    for each, numbers in found.items():
        yield name, each, [number for number in numbers if number]


def broken_promises(published: Published, known: Mapping[str, type[Event]]) -> Iterator[str]:
    """One paragraph for each breaking change; event types that share a model share it."""
    types: dict[str, list[str]] = {}
    for name in sorted({*published.types(), *known}):
        for _, each, numbers in breaks_of(name, known, published):
            of = f" (revision {', '.join(map(str, numbers))})" if numbers else ""
            types.setdefault(each.sentence(), []).append(f"{name}{of}")
    yield from (f"{', '.join(names)}: {sentence}" for sentence, names in types.items())


def missing_revision(event: type[Event], published: Published) -> Iterator[str]:
    """Says when today's schema is not the newest published one."""
    newest = published.newest(event.type)
    if is_published(event, published):
        if REVISIONS.get(event.type) != newest:
            yield f"{event.type}: hoop_events.revisions is stale; {COMMAND} writes it."
        return
    before = published.schemas.get(event.type, {}).get(newest)
    what = (
        "is new" if before is None else f"has gained {_listed(added_fields(before, _today(event)))}"
    )
    yield (
        f"{event.type} {what}, and its schema is not in the tree; {COMMAND} writes it as "
        f"revision {newest + 1}. Commit the new files and never edit them afterwards."
    )


def is_published(event: type[Event], published: Published) -> bool:
    """Whether the newest revision says what today's model says; titles and descriptions may differ."""
    newest = published.schemas.get(event.type, {}).get(published.newest(event.type))
    return newest is not None and plain(newest) == plain(_today(event))


def golden_breaches(event: type[Event], published: Published) -> Iterator[str]:
    """One paragraph for each thing that is wrong with the golden records of an event, naming them all."""
    newest = published.newest(event.type) if is_published(event, published) else None
    found: dict[str, list[str]] = {}
    for revision, records in published.golden.get(event.type, {}).items():
        for name, record in records.items():
            for what in _wrong(event, record, current=revision == newest):
                found.setdefault(what, []).append(f"`{name}` of revision {revision}")
    for what, names in found.items():
        yield f"{event.type}, golden record {', '.join(names)} ({FOLDER}/golden): {what}."


def _wrong(event: type[Event], record: Mapping[str, Any], *, current: bool) -> Iterator[str]:
    """Whether today's code no longer decodes a record, loses something of it, or writes it otherwise."""
    headers = [(key, value.encode()) for key, value in record["headers"].items()]
    published_body = record["body"].encode()
    try:
        decoded = codec.decode(codec.envelope(headers), published_body, [event])
    except (codec.Undecodable, codec.UnknownType) as error:
        yield f"today's code cannot decode it: {error}. {DECODE}"
        return
    written = codec.body(decoded)
    if lost := [*losses("$", orjson.loads(published_body), orjson.loads(written))]:
        yield f"decoded and encoded again, {'; '.join(lost)}. {SURVIVE}"
    elif current and written != published_body:
        yield f"today's code writes the same event in other bytes. {SAME_BYTES}"
    elif current and (other := set(_headers(decoded, record["headers"])) - set(headers)):
        yield f"today's code writes other headers: {sorted(other)}. {SAME_BYTES}"


def _headers(event: Event, golden: Mapping[str, str]) -> list[tuple[str, bytes]]:
    """The headers that today's code writes for a golden record: id, source and time are the record's."""
    return codec.attributes(
        event_id=golden["ce_id"],
        source=golden["ce_source"],
        type=event.type,
        subject=event.subject,
        sequence=event.sequence,
        account_id=event.account_id,
        dataschema=event.dataschema(),
        time=datetime.fromisoformat(golden["ce_time"]),
        traceparent=golden["traceparent"],
    )


def _today(event: type[Event]) -> dict[str, Any]:
    return json_schema(event, REVISIONS.get(event.type, 1))


def _listed(paths: Iterable[str]) -> str:
    return ", ".join(f"`{path}`" for path in paths) or "no field but another form"


def main(root: str) -> int:
    """Print each breach as a paragraph; returns 1 if there are any."""
    found = list(breaches(Path(root)))
    print("\n\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
