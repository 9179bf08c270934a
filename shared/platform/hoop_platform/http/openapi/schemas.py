"""The schemas of bodies, queries and responses, from their models."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from hoop_platform.http.route import Route, Shape

Schemas = Mapping[Shape, dict[str, Any]]

_REFERENCE = "#/components/schemas/"


def schemas_of(routes: Sequence[Route]) -> tuple[Schemas, dict[str, Any]]:
    """The schema of each shape, mostly a reference, and the referenced schemas by name.

    Schemas are those of validation, not serialization: a member with a default may be left out.
    Schemas of queries are inlined, for their members become parameters.
    """
    shapes = dict.fromkeys(shape for route in routes for shape in _shapes(route))
    found, rest = TypeAdapter.json_schemas(
        [(shape, "validation", TypeAdapter(shape)) for shape in shapes],
        ref_template=_REFERENCE + "{model}",
    )
    named = _short_names(rest.get("$defs", {}))
    definitions = {named[name]: _tidy(rule, named) for name, rule in rest.get("$defs", {}).items()}
    schemas = {shape: _tidy(found[shape, "validation"], named) for shape in shapes}
    for route in routes:
        if route.query is not None and "$ref" in schemas[route.query]:
            name = schemas[route.query]["$ref"].removeprefix(_REFERENCE)
            schemas[route.query] = definitions.pop(name)
        if route.method == "PUT" and route.body is not None:
            _forget_defaults(schemas[route.body], definitions)
    return schemas, definitions


def _shapes(route: Route) -> Iterator[Shape]:
    yield from (shape for shape in (route.body, route.query, route.reply) if shape is not None)


def _short_names(names: Mapping[str, Any]) -> dict[str, str]:
    """Services may have models of the same name: `booking__api__models__Page` is `BookingPage`."""
    parts = {name: name.split("__") for name in names}
    return {
        name: part[-1] if len(part) == 1 else part[0].replace("_", " ").title() + part[-1]
        for name, part in parts.items()
    }


def _tidy(rule: Any, named: Mapping[str, str]) -> Any:
    """Without titles that only repeat a name, and with short references."""
    if isinstance(rule, list):
        return [_tidy(item, named) for item in rule]
    if not isinstance(rule, dict):
        return rule
    kept = {key: _tidy(value, named) for key, value in rule.items() if not _repeats(key, value)}
    if isinstance(kept.get("$ref"), str):
        kept["$ref"] = re.sub(r"[^/]+$", lambda name: named[name[0]], kept["$ref"])
    return kept


def _repeats(key: str, value: object) -> bool:
    return key == "title" and isinstance(value, str)


def _forget_defaults(body: dict[str, Any], definitions: Mapping[str, Any]) -> None:
    """In a change, an absent member stays unchanged, so the model's default does not apply."""
    rule = definitions[body["$ref"].removeprefix(_REFERENCE)] if "$ref" in body else body
    for member in rule.get("properties", {}).values():
        member.pop("default", None)
