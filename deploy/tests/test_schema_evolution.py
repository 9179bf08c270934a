"""The comparison of schemas, against a validator: what it lets pass, both sides can read.

Schemas and their changes are drawn at random, as pydantic writes them: objects that are open to unknown
properties. Records are drawn as our producers write them: declared properties only.
"""

import copy
from typing import Any

from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from local.checks.schema_changes import added_fields, breaking_changes
from local.checks.schema_rules import Rule

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
VALUES = ("new", "open", "closed", "gone")
slow = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


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


def other_limits(field: dict) -> list[dict]:
    """The field with wider and with narrower limits; none if it has no limits."""
    if "enum" in field:
        more = [value for value in VALUES if value not in field["enum"]]
        return [{**field, "enum": field["enum"] + more}, {**field, "enum": more}]
    return [
        {**field, key: field[key] + step}
        for key in ("maxLength", "minimum")
        if key in field
        for step in (-1, 1)
    ]


@st.composite
def broken(draw: Any, schema: dict) -> tuple[str, dict]:
    """The name of one field, and the schema with one breaking change of that field."""
    result = copy.deepcopy(schema)
    target = draw(st.sampled_from(objects_in(result)))
    fields_of, required = target["properties"], target["required"]
    name = draw(st.sampled_from([*fields_of]))
    field, optional = fields_of[name], name not in required
    default = {"default": field["default"]} if optional else {}
    match draw(st.sampled_from(["remove", "rename", "type", "null", "required", "limit"])):
        case "remove":
            del fields_of[name]
            required[:] = [each for each in required if each != name]
        case "rename":
            fields_of[f"{name}Renamed"] = fields_of.pop(name)
            required[:] = [f"{each}Renamed" if each == name else each for each in required]
        case "type":
            fields_of[name] = {
                "type": "boolean" if field.get("type") == "null" else "null",
                **default,
            }
        case "null":
            assume("anyOf" not in field and field.keys() - {"default"})
            fields_of[name] = {
                **nullable({k: v for k, v in field.items() if k != "default"}),
                **default,
            }
        case "required" if optional:
            required.append(name)
            del field["default"]
        case "required":
            required.remove(name)
            field["default"] = None
        case _:
            assume(others := other_limits(field))
            fields_of[name] = draw(st.sampled_from(others))
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


@slow
@given(st.data())
def test_a_break_is_refused_and_its_field_named(data):
    """Fields that were added at the same time do not hide it."""
    old = data.draw(schemas)
    name, changed = data.draw(broken(old))
    new = data.draw(with_added_fields(changed, ("one", "other")))
    found = list(breaking_changes(old, new))
    note(f"{name}: {found}")
    assert any(f".{name}" in each.path for each in found)


@slow
@given(st.data())
def test_what_passes_can_be_read_by_both_sides(data):
    """Any two schemas: if the comparison finds nothing, all records of one are valid for the other."""
    old = data.draw(schemas)
    new = data.draw(
        st.one_of(schemas, with_added_fields(old), broken(old).map(lambda found: found[1]))
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
