"""JSON Schemas in one form, in which two of them can be compared, and said in words.

References are replaced by what they name and annotations are left out. Only what pydantic writes for
events is known here: another keyword stays in the form as it is and is compared as a whole.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

ANNOTATIONS = {"$schema", "$id", "$defs", "$comment", "title", "description", "examples"}
BY_NAME = {"properties", "patternProperties"}
LISTS = {"anyOf", "oneOf", "allOf", "prefixItems"}
SINGLE = {"items", "additionalProperties", "propertyNames"}
NULL = {"type": "null"}


class Recursive(Exception):
    """A model contains itself, which events may not: their schemas could not be compared."""


def plain(schema: Schema) -> Any:
    """The schema without references and annotations. Raises `Recursive`."""
    return _plain(schema, schema.get("$defs", {}), ())


def _plain(schema: Any, definitions: Schema, inside: tuple[str, ...]) -> Any:
    if not isinstance(schema, Mapping):
        return schema  # `true`, `false`
    if (name := schema.get("$ref", "").removeprefix("#/$defs/")) in definitions:
        if name in inside:
            raise Recursive(f"{name} contains itself, which the schema of an event cannot say")
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain({**definitions[name], **rest}, definitions, (*inside, name))
    return {
        "enum" if key == "const" else key: _plain_part(key, value, definitions, inside)
        for key, value in schema.items()
        if key not in ANNOTATIONS
    }


def _plain_part(key: str, value: Any, definitions: Schema, inside: tuple[str, ...]) -> Any:
    """What a keyword says."""
    if key in BY_NAME:
        return {name: _plain(each, definitions, inside) for name, each in value.items()}
    if key in LISTS:
        return [_plain(each, definitions, inside) for each in value]
    if key in SINGLE:
        return _plain(value, definitions, inside)
    if key == "const":
        return [value]
    return sorted(value) if key == "required" else value


def alternatives(schema: Schema) -> tuple[list[Schema], bool]:
    """The alternatives of a plain schema other than null, sorted by type; whether null is allowed."""
    found = schema.get("anyOf") or schema.get("oneOf") or [schema]
    others = [each for each in found if each != NULL]
    return sorted(others, key=lambda each: str(each.get("type"))), NULL in found


def in_words(schema: Schema) -> str:
    """The type of a plain schema: `string (date-time) or null`, `array of string`."""
    others, null = alternatives(schema)
    words = [_type_in_words(each) for each in others] + (["null"] if null else [])
    return " or ".join(words)


def _type_in_words(schema: Schema) -> str:
    kind = schema.get("type", "any value")
    if "enum" in schema:
        return f"one of {listed(schema['enum'])}"
    if kind == "array":
        return f"array of {in_words(schema.get('items', {}))}"
    if kind == "object" and "properties" not in schema:
        values = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
        return f"map to {in_words(values[0])}" if isinstance(values[0], Mapping) else "object"
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def listed(values: Any) -> str:
    """Values as a list in words: `new`, `confirmed`."""
    return ", ".join(f"`{value}`" for value in values)
