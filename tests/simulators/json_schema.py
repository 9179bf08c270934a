"""A small validator for the part of JSON Schema that the providers' contracts use.

Not a dependency, since the product needs none and the contracts use a dozen keywords. Unlike a full
validator it refuses unknown properties unless the schema allows them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any
from zoneinfo import available_timezones

Schema = Mapping[str, Any]
KINDS: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}


@cache
def zone_names() -> frozenset[str]:
    """The names of all IANA time zones; cached, since they are read from the disk."""
    return frozenset(available_timezones())


@dataclass(frozen=True)
class Problem:
    """One violation of a schema."""

    path: str  # `settings.audio`, `attendees[0].email`; empty for the whole
    message: str


def problems(
    value: Any, schema: Schema, definitions: Mapping[str, Schema], path: str = ""
) -> Iterator[Problem]:
    """All violations of the schema; none when the value is valid. `$ref` names a definition."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"]]
    kind = schema.get("type", "any")
    if kind != "any" and not _has_type(value, kind):
        yield Problem(path, f"must be of type {kind}")
    elif kind == "object":
        yield from _object_problems(value, schema, definitions, path)
    elif kind == "array":
        for index, item in enumerate(value):
            yield from problems(item, schema["items"], definitions, f"{path}[{index}]")
    else:
        yield from _scalar_problems(value, schema, path)


def _has_type(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, KINDS[kind])


def _object_problems(
    value: dict[str, Any], schema: Schema, definitions: Mapping[str, Schema], path: str
) -> Iterator[Problem]:
    known = schema.get("properties", {})
    rest = schema.get("additionalProperties", False)
    for name in schema.get("required", []):
        if name not in value:
            yield Problem(_under(path, name), "is required")
    for name, item in value.items():
        if name in known:
            yield from problems(item, known[name], definitions, _under(path, name))
        elif rest is False:
            yield Problem(_under(path, name), "is unknown")
        elif isinstance(rest, Mapping):
            yield from problems(item, rest, definitions, _under(path, name))


def _scalar_problems(value: Any, schema: Schema, path: str) -> Iterator[Problem]:
    if "enum" in schema and value not in schema["enum"]:
        yield Problem(path, f"must be one of {', '.join(map(str, schema['enum']))}")
    if isinstance(value, str):
        yield from _text_problems(value, schema, path)
    elif isinstance(value, int | float):
        yield from _number_problems(value, schema, path)


def _text_problems(value: str, schema: Schema, path: str) -> Iterator[Problem]:
    if len(value) > schema.get("maxLength", len(value)):
        yield Problem(path, f"must have at most {schema['maxLength']} characters")
    if "pattern" in schema and re.fullmatch(schema["pattern"], value) is None:
        yield Problem(path, f"must match {schema['pattern']}")
    if not _has_format(value, schema.get("format")):
        yield Problem(path, f"must be a {schema['format']}")


def _number_problems(value: float, schema: Schema, path: str) -> Iterator[Problem]:
    if value < float(schema.get("minimum", value)):
        yield Problem(path, f"must be at least {schema['minimum']}")
    if value > float(schema.get("maximum", value)):
        yield Problem(path, f"must be at most {schema['maximum']}")


def _has_format(value: str, wanted: str | None) -> bool:
    try:
        if wanted == "date":
            return date.fromisoformat(value).isoformat() == value
        if wanted == "date-time":
            return "T" in value and bool(datetime.fromisoformat(value))
        return wanted != "int64" or str(int(value)) == value
    except ValueError:
        return False


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
