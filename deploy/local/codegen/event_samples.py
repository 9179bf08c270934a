"""Sample records of an event for its golden file, derived from its schema: always the same ones.

`minimal` has nothing but what is required, `full` a value other than the default in every field;
besides, there is one record for each value of each enumeration, named `<path>=<value>`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hoop_events import codec
from hoop_events.base import Event
from hoop_events.json_schema import json_schema
from local.checks.schema_form import Schema, alternatives, plain

ID = "06gvqgu569o0v1e91maf8nmpds"
MOMENT = "2027-03-01T09:30:00.250Z"
TEXT = 'Zoë “ok” 🗓 <a & "b"> \\ \t\u2028'  # what encoders escape differently
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NUMBER = 7  # no default is 7
ANY: Any = {"text": TEXT, "number": 1.5, "list": [True, None]}
Record = dict[str, Any]


def records(event: type[Event], revision: int) -> dict[str, Record]:
    """The records by name; each has `headers` and `body`, the text of the exact bytes."""
    schema = plain(json_schema(event, revision))
    samples = {"minimal": _minimal(schema), "full": _full(schema)}
    for path, value in _enum_values(schema, ()):
        sample = _full(schema)
        _put(sample, path, value)
        samples[f"{'.'.join(map(str, path))}={value}"] = sample
    return {
        name: record(event.model_validate(sample), revision) for name, sample in samples.items()
    }


def record(event: Event, revision: int) -> Record:
    """The event as it is published, at a fixed time and with a fixed id."""
    headers = codec.attributes(
        event_id=ID,
        source=event.source,
        type=event.type,
        subject=event.subject,
        sequence=event.sequence,
        account_id=event.account_id,
        dataschema=event.dataschema(revision),
        time=datetime(2027, 3, 1, 12, tzinfo=UTC),
        traceparent=TRACEPARENT,
    )
    return {
        "headers": {name: value.decode() for name, value in headers},
        "body": codec.body(event).decode(),
    }


def _minimal(schema: Schema) -> Any:
    """A value with required properties only, null and empty where that is allowed."""
    others, null = alternatives(schema)
    if null:
        return None
    match others[0].get("type"):
        case "object":
            required = others[0].get("required", ())
            return {name: _minimal(others[0]["properties"][name]) for name in required}
        case "array":
            return [_minimal(each) for each in others[0].get("prefixItems", ())]
        case _:
            return _scalar(others[0])


def _full(schema: Schema) -> Any:
    """A value with every property; of an array one item, of a map one entry."""
    one = alternatives(schema)[0][0]
    match one.get("type"):
        case "object" if "properties" in one:
            return {name: _full(field) for name, field in one["properties"].items()}
        case "object":
            keys = one.get("patternProperties")
            values = next(iter(keys.values())) if keys else one.get("additionalProperties", {})
            return {ID if keys else "name": _full(values if isinstance(values, dict) else {})}
        case "array" if "prefixItems" in one:
            return [_full(each) for each in one["prefixItems"]]
        case "array":
            return [_full(one.get("items", {}))]
        case _:
            return _scalar(one)


def _scalar(schema: Schema) -> Any:
    """A value of no parts; of an enumeration the last that is no default."""
    if "enum" in schema:
        return schema["enum"][-1]
    match schema.get("type"):
        case "string" if "pattern" in schema:
            return ID
        case "string":
            return MOMENT if schema.get("format") == "date-time" else TEXT
        case "integer" | "number":
            return NUMBER
        case "boolean":
            return not schema.get("default", False)
        case _:
            return ANY


def _enum_values(
    schema: Schema, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each value of each enumeration, with its path in the full sample."""
    one = alternatives(schema)[0][0]
    for value in one.get("enum", ()):
        yield path, value
    for name, field in one.get("properties", {}).items():
        yield from _enum_values(field, (*path, name))
    if "items" in one:
        yield from _enum_values(one["items"], (*path, 0))


def _put(sample: Any, path: tuple[Any, ...], value: Any) -> None:
    *parents, last = path
    for part in parents:
        sample = sample[part]
    sample[last] = value
