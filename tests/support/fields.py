"""The fields of a body, from its JSON Schema: where they stand, and what they do not take."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from hoop_platform.http.route import Route

Steps = list[str | int]
OF_TYPE: Mapping[str, Any] = {
    "string": "\u2603",
    "number": 1.5,
    "boolean": True,
    "array": [[]],
    "object": {"x": 1},
    "null": None,
}


def leaves(route: Route) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    """Every field of a route's body, nested ones by their steps, with each schema that it may have."""
    schema = TypeAdapter(route.body).json_schema(by_alias=True)
    return _leaves(schema, schema.get("$defs", {}))


def _leaves(
    schema: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    for steps, inner in inner_of(schema, known) if schema.get("type") == "array" else ():
        yield from (([*steps, *deeper], rule) for deeper, rule in _leaves(inner, known))
    for name, said in schema.get("properties", {}).items():
        yield from (([name], rule) for rule in options(said, known))
        for steps, inner in inner_of(said, known):
            yield from (([name, *steps, *deeper], rule) for deeper, rule in _leaves(inner, known))


def wrong_values(
    schema: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[Steps, Any]]:
    """Where a field stands, and a value of a type that it does not take."""
    for steps, inner in inner_of(schema, known) if schema.get("type") == "array" else ():
        for deeper, value in wrong_values(inner, known):
            yield [*steps, *deeper], value
    for name, said in schema.get("properties", {}).items():
        taken = set(types(said, known))
        for kind, value in OF_TYPE.items():
            if kind not in taken:
                yield [name], value
        for steps, inner in inner_of(said, known):
            for deeper, value in wrong_values(inner, known):
                yield [name, *steps, *deeper], value


def options(said: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a schema says, references followed and alternatives taken apart."""
    if "$ref" in said:
        yield from options(known[said["$ref"].rpartition("/")[2]], known)
    elif "anyOf" in said:
        for one in said["anyOf"]:
            yield from options(one, known)
    else:
        yield said


def types(said: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    for option in options(said, known):
        yield option.get("type") or type_of(option.get("enum", [option.get("const")])[0])


def type_of(value: object) -> str:
    """The JSON type of a value that stands for itself."""
    return "string" if isinstance(value, str) else "number"


def is_array(route: Route) -> bool:
    return TypeAdapter(route.body).json_schema().get("type") == "array"


def inner_of(
    said: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[list[int], Mapping[str, Any]]]:
    """The objects in a field: itself, or the members of its array."""
    for option in options(said, known):
        if option.get("type") == "object":
            yield [], option
        elif option.get("type") == "array":
            for item in options(option["items"], known):
                if item.get("type") == "object":
                    yield [0], item


def holding(steps: Steps, value: Any) -> Any:
    """`{"a": [{"b": value}]}` for the steps a, 0, b."""
    for step in reversed(steps):
        value = [value] if isinstance(step, int) else {step: value}
    return value
