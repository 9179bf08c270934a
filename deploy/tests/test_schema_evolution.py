"""The comparison of schemas, against a validator: what it lets pass, both sides can read.

Schemas and their changes are drawn at random, as pydantic writes them: objects that are open to unknown
properties. Records are drawn as our producers write them: declared properties only.
"""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from local.checks.schema_changes import added_fields, breaking_changes
from local.checks.schema_rules import Rule

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
VALUES = ("new", "open", "closed", "gone")
UNHURRIED = [HealthCheck.too_slow, HealthCheck.filter_too_much]
slow = settings(max_examples=40, deadline=None, suppress_health_check=UNHURRIED)
few = settings(max_examples=12, deadline=None, suppress_health_check=UNHURRIED)


def scalars() -> st.SearchStrategy[dict]:
    return st.one_of(
        st.sampled_from([{"type": "integer"}, {"type": "boolean"}, {"type": "number"}]),
        st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(0, 5)),
        st.builds(lambda least: {"type": "integer", "minimum": least}, st.integers(-3, 3)),
        st.builds(
            lambda values: {"type": "string", "enum": values},
            st.lists(st.sampled_from(VALUES), min_size=1, max_size=3, unique=True),
        ),
        st.just({}),
    )


def nullable(schema: dict) -> dict:
    return {"anyOf": [schema, {"type": "null"}]}


@st.composite
def objects(draw: Any, fields: st.SearchStrategy[dict]) -> dict:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    found: dict = {"type": "object", "properties": {}, "required": []}
    for name in names:
        field = draw(fields)
        if draw(st.booleans()):
            found["required"].append(name)
        else:
            field = {**field, "default": draw(values(field))}
        found["properties"][name] = field
    return found


def fields() -> st.SearchStrategy[dict]:
    return st.recursive(
        st.one_of(scalars(), scalars().filter(bool).map(nullable)),
        lambda inner: st.one_of(
            objects(inner),
            objects(inner).map(nullable),
            inner.map(lambda items: {"type": "array", "items": items}),
            inner.map(lambda each: {"type": "object", "additionalProperties": each}),
        ),
        max_leaves=6,
    )


schemas = objects(fields())


@st.composite
def values(draw: Any, schema: dict) -> Any:
    """A value as a producer writes it that follows this schema."""
    one = draw(st.sampled_from(schema["anyOf"])) if "anyOf" in schema else schema
    if "properties" in one:
        kept = [n for n in one["properties"] if n in one["required"] or draw(st.booleans())]
        return {name: draw(values(one["properties"][name])) for name in kept}
    if "additionalProperties" in one:
        keys = draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))
        return {key: draw(values(one["additionalProperties"])) for key in keys}
    if "items" in one:
        return draw(st.lists(values(one["items"]), max_size=2))
    return draw(scalar_values(one))


def scalar_values(schema: dict) -> st.SearchStrategy[Any]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    return {
        "string": st.text("abc", max_size=schema.get("maxLength")),
        "integer": st.integers(schema.get("minimum", -9), 9),
        "number": st.sampled_from([0.5, 3, -2.25]),
        "boolean": st.booleans(),
        "null": st.none(),
        None: st.sampled_from([None, 1, "x", [], {"any": True}]),
    }[schema.get("type")]


def objects_in(schema: dict) -> list[dict]:
    """All objects with properties in a schema, the schema itself first."""
    found = [schema] if "properties" in schema else []
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    parts += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    return found + [each for part in parts for each in objects_in(part)]


@st.composite
def with_added_fields(draw: Any, schema: dict, names: tuple[str, ...] = NAMES) -> dict:
    """The schema with an optional field more, somewhere; if all names are taken, the same."""
    result = copy.deepcopy(schema)
    target = draw(st.sampled_from(objects_in(result)))
    if free := [name for name in names if name not in target["properties"]]:
        field = draw(fields())
        target["properties"][draw(st.sampled_from(free))] = {
            **field,
            "default": draw(values(field)),
        }
    return result


def without_default(field: dict) -> dict:
    return {key: value for key, value in field.items() if key != "default"}


def with_limits(field: dict, steps: dict[str, int]) -> dict:
    return {**field, **{key: field[key] + step for key, step in steps.items() if key in field}}


def wider(field: dict) -> dict:
    """The field with one limit wider; the same if it has none."""
    if "enum" in field:
        return {**field, "enum": [*VALUES, "another"]}
    return with_limits(field, {"maxLength": 1, "minimum": -1})


def narrower(field: dict) -> dict:
    if "enum" in field:
        return {**field, "enum": field["enum"][1:]}
    return with_limits(field, {"maxLength": -1, "minimum": 1})


def of_another_type(field: dict) -> dict:
    kind = "boolean" if field.get("type") != "boolean" else "integer"
    return {"type": kind, **({"default": field["default"]} if "default" in field else {})}


def with_null(field: dict) -> dict:
    if "anyOf" in field or not without_default(field):
        return field  # null is allowed already
    default = {"default": field["default"]} if "default" in field else {}
    return {**nullable(without_default(field)), **default}


CHANGED_FIELDS = {
    "type changed": of_another_type,
    "null allowed": with_null,
    "wider": wider,
    "narrower": narrower,
}
"""Breaking changes of one field; a field that stays the same is not one to change so."""


def changed_object(kind: str, target: dict, name: str) -> dict | None:
    """An object after a breaking change of one of its fields; None if the field cannot be changed so."""
    fields_of, required = dict(target["properties"]), [*target["required"]]
    if kind in CHANGED_FIELDS:
        fields_of[name] = CHANGED_FIELDS[kind](fields_of[name])
    elif kind in {"removed", "renamed"}:
        field = fields_of.pop(name)
        fields_of |= {f"{name}Renamed": field} if kind == "renamed" else {}
        required = [f"{each}Renamed" if each == name else each for each in required]
        required = [each for each in required if each in fields_of]
    elif kind == "added and required":
        fields_of[f"{name}Added"] = fields_of[name]
        required.append(f"{name}Added")
    elif kind == "required" and name not in required:
        fields_of[name] = without_default(fields_of[name])
        required.append(name)
    elif kind == "optional" and name in required:
        fields_of[name] = {**fields_of[name], "default": None}
        required.remove(name)
    elif kind == "default" and name not in required:
        fields_of[name] = {**fields_of[name], "default": ["another"]}
    changed = {**target, "properties": fields_of, "required": required}
    return changed if changed != target else None


KINDS = [
    *CHANGED_FIELDS,
    "removed",
    "renamed",
    "added and required",
    "required",
    "optional",
    "default",
]


@st.composite
def broken(draw: Any, schema: dict, kind: str) -> tuple[str, dict]:
    """The name of a field, and the schema with this breaking change of it."""
    result = copy.deepcopy(schema)
    able = [
        (target, name, changed)
        for target in objects_in(result)
        for name in target["properties"]
        if (changed := changed_object(kind, target, name)) is not None
    ]
    assume(able)
    target, name, changed = draw(st.sampled_from(able))
    target |= changed
    return name, result


def fits(record: Any, schema: dict) -> bool:
    return bool(Draft202012Validator(schema).is_valid(record))


@slow
@given(st.data())
def test_added_optional_fields_pass_against_every_older_schema(data):
    """Through several revisions: each pair is compatible, and reads the other's records."""
    history = [data.draw(schemas)]
    for _ in range(data.draw(st.integers(1, 3))):
        history.append(data.draw(with_added_fields(history[-1])))
    for old in history:
        assert list(breaking_changes(old, history[-1])) == []
        assert fits(data.draw(values(old)), history[-1])
        assert fits(data.draw(values(history[-1])), old)


@pytest.mark.parametrize("kind", KINDS)
@few
@given(st.data())
def test_a_break_is_refused_and_its_field_named(kind, data):
    """Fields that were added at the same time do not hide it."""
    old = data.draw(schemas)
    name, changed = data.draw(broken(old, kind))
    found = list(breaking_changes(old, data.draw(with_added_fields(changed, ("one", "other")))))
    note(f"{name}: {found}")
    assert any(f".{name}" in each.path for each in found)


@slow
@given(st.data())
def test_what_passes_can_be_read_by_both_sides(data):
    """Any two schemas: if the comparison finds nothing, all records of one are valid for the other."""
    old = data.draw(schemas)
    new = data.draw(
        st.one_of(
            schemas,
            with_added_fields(old),
            st.sampled_from(KINDS)
            .flatmap(lambda kind: broken(old, kind))
            .map(lambda found: found[1]),
        )
    )
    if not list(breaking_changes(old, new)):
        for one, other in ((old, new), (new, old)):
            record = data.draw(values(one))
            assert fits(record, other), record


@slow
@given(st.data())
def test_the_order_of_fields_and_words_about_them_mean_nothing(data):
    old = data.draw(schemas)
    new = copy.deepcopy(old)
    for each in objects_in(new):
        each["properties"] = dict(reversed(each["properties"].items()))
        each |= {"title": "Another", "description": "in other words"}
    assert list(breaking_changes(old, new)) == []
    assert added_fields(old, new) == []


def test_every_rule_says_whom_it_breaks_and_what_to_do():
    """One sentence of each, without an end of its own."""
    for rule in Rule:
        assert not any(part.endswith(".") or not part for part in rule.value), rule
