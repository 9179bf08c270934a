"""Compares two JSON Schemas of one event: every breaking change, and the fields that were added.

A set-theoretic comparison refuses even an added optional field, since schemas that allow unknown
properties allow that property with any value. Our producers write declared properties only, so here
an added optional field is compatible. What a field that exists may contain never changes: widening it
breaks old consumers, narrowing it breaks the reading of old records.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from hoop_events.json_schema import KEY, TOPIC
from local.checks.schema_form import Schema, alternatives, in_words, listed, plain
from local.checks.schema_rules import Break, Rule

MINIMA = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
MAXIMA = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
COMPARED_APART = {
    *(
        "type",
        "default",
        "enum",
        "anyOf",
        "properties",
        "required",
        "items",
        "additionalProperties",
    ),
    *("oneOf", "patternProperties", "prefixItems", TOPIC, KEY),
}


def breaking_changes(old: Schema, new: Schema) -> Iterator[Break]:
    """All changes from a published schema to another that break a reader, in the order of the fields."""
    before, now = plain(old), plain(new)
    for rule, keyword in ((Rule.TOPIC, TOPIC), (Rule.KEY, KEY)):
        if before.get(keyword) != now.get(keyword):
            name = keyword.removeprefix("x-")
            what = f"has the {name} `{now.get(keyword)}`; it was `{before.get(keyword)}`"
            yield Break(rule, "the event", what)
    yield from _compare("$", before, now)


def added_fields(old: Schema, new: Schema) -> list[str]:
    """JSONPaths of the fields that only the new schema has."""
    before = set(_paths("$", plain(old)))
    return [path for path in _paths("$", plain(new)) if path not in before]


def _paths(path: str, schema: Any) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _paths(f"{path}.{name}", field)
    for each in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _paths(path, each)
    yield from _paths(f"{path}[*]", schema.get("items"))


def losses(path: str, old: Any, new: Any) -> Iterator[str]:
    """What a JSON value no longer says of an older one, in words; objects may have gained properties."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            if key in new:
                yield from losses(f"{path}.{key}", value, new[key])
            else:
                yield f"{path} has lost `{key}`"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from losses(f"{path}[{index}]", one, other)
    elif type(old) is not type(new) or old != new:
        yield f"{path} was {_json(old)} and is {_json(new)}"


def _json(value: Any) -> str:
    return f"`{orjson.dumps(value).decode()}`"


def _compare(path: str, old: Schema, new: Schema) -> Iterator[Break]:
    """Changes of what a value may be."""
    (before, null_before), (now, null_now) = alternatives(old), alternatives(new)
    if [each.get("type") for each in before] != [each.get("type") for each in now]:
        yield Break(Rule.TYPE, path, f"was {in_words(old)} and is {in_words(new)}")
        return
    if null_now and not null_before:
        yield Break(Rule.NULL_ADDED, path, "may be null; it never was")
    if null_before and not null_now:
        yield Break(Rule.NULL_REMOVED, path, "may no longer be null")
    for one, other in zip(before, now, strict=True):
        yield from _compare_values(path, one, other)
        yield from _compare_limits(path, one, other)
        yield from _compare_fields(path, one, other)
        yield from _compare_contents(path, one, other)


def _compare_values(path: str, old: Schema, new: Schema) -> Iterator[Break]:
    before, now = old.get("enum"), new.get("enum")
    if before is None and now is not None:
        yield Break(Rule.ENUM_NARROWED, path, f"was any {in_words(old)} and is {in_words(new)}")
    elif now is None and before is not None:
        yield Break(Rule.ENUM_WIDENED, path, f"was {in_words(old)} and is any {in_words(new)}")
    elif before is not None and now is not None:
        if gained := [value for value in now if value not in before]:
            yield Break(Rule.ENUM_WIDENED, path, f"has the new value {listed(gained)}")
        if lost := [value for value in before if value not in now]:
            yield Break(Rule.ENUM_NARROWED, path, f"no longer has the value {listed(lost)}")


def _compare_limits(path: str, old: Schema, new: Schema) -> Iterator[Break]:
    for keyword in sorted((old.keys() | new.keys()) - COMPARED_APART):
        before, now = old.get(keyword), new.get(keyword)
        if before != now:
            what = f"had {_limit(keyword, before)} and has {_limit(keyword, now)}"
            yield Break(_limit_rule(keyword, before, now), path, what)


def _limit(keyword: str, value: Any) -> str:
    return f"no {keyword}" if value is None else f"{keyword} `{value}`"


def _limit_rule(keyword: str, before: Any, now: Any) -> Rule:
    if now is None:
        return Rule.LOOSENED
    if before is None:
        return Rule.TIGHTENED
    if keyword in MINIMA:
        return Rule.TIGHTENED if now > before else Rule.LOOSENED
    if keyword in MAXIMA:
        return Rule.TIGHTENED if now < before else Rule.LOOSENED
    return Rule.OTHER_LIMIT


def _compare_fields(path: str, old: Schema, new: Schema) -> Iterator[Break]:
    before, now = old.get("properties", {}), new.get("properties", {})
    required_before, required_now = old.get("required", ()), new.get("required", ())
    for name, field in before.items():
        where = f"{path}.{name}"
        if name not in now:
            yield Break(Rule.REMOVED, where, _removal(field, before, now))
            continue
        yield from _compare(where, field, now[name])
        if name in required_before and name not in required_now:
            yield Break(Rule.BECAME_OPTIONAL, where, "was required and is optional")
        elif name in required_now and name not in required_before:
            yield Break(Rule.BECAME_REQUIRED, where, "was optional and is required")
        else:
            yield from _compare_defaults(where, field, now[name])
    for name in (name for name in now if name not in before):
        if name in required_now:
            yield Break(Rule.ADDED_REQUIRED, f"{path}.{name}", "is new and required")
        elif "default" not in now[name]:
            yield Break(Rule.ADDED_WITHOUT_DEFAULT, f"{path}.{name}", "is new and has no default")


def _removal(field: Schema, before: Schema, now: Schema) -> str:
    """What happened to a field; a new one of the same type beside it is probably its new name."""
    new = [name for name in now if name not in before and in_words(now[name]) == in_words(field)]
    renamed = f" (renamed to {' or '.join(f'`{name}`' for name in new)}?)" if new else ""
    return f"was {in_words(field)} and is gone{renamed}"


def _compare_defaults(path: str, old: Schema, new: Schema) -> Iterator[Break]:
    """The default of a model may gain the defaults of the model's new fields."""
    before, now = old.get("default"), new.get("default")
    if ("default" in old) != ("default" in new) or any(losses(path, before, now)):
        what = f"had the default {_default(old)} and has {_default(new)}"
        yield Break(Rule.DEFAULT, path, what)


def _default(field: Schema) -> str:
    return _json(field["default"]) if "default" in field else "none"


def _compare_contents(path: str, old: Schema, new: Schema) -> Iterator[Break]:
    """Items of arrays, and values of maps."""
    yield from _compare_part(f"{path}[*]", old.get("items"), new.get("items"))
    if new.get("additionalProperties") is False:
        yield Break(Rule.CLOSED, path, "allows no unknown properties")
    else:
        parts = (each.get("additionalProperties") for each in (old, new))
        yield from _compare_part(f"{path}.*", *parts)
    before, now = old.get("patternProperties", {}), new.get("patternProperties", {})
    if before.keys() != now.keys():
        what = f"had keys like {listed(before) or 'any'} and has keys like {listed(now) or 'any'}"
        yield Break(Rule.OTHER_LIMIT, path, what)
    for pattern in sorted(before.keys() & now.keys()):
        yield from _compare_part(f"{path}.*", before[pattern], now[pattern])
    items_before, items_now = old.get("prefixItems", ()), new.get("prefixItems", ())
    if len(items_before) != len(items_now):
        yield Break(Rule.TYPE, path, f"had {len(items_before)} items and has {len(items_now)}")
    for index, (one, other) in enumerate(zip(items_before, items_now, strict=False)):
        yield from _compare_part(f"{path}[{index}]", one, other)


def _compare_part(path: str, old: Any, new: Any) -> Iterator[Break]:
    """A part that either schema may lack: then any value is allowed."""
    if old is not None or new is not None:
        yield from _compare(path, *(each if isinstance(each, dict) else {} for each in (old, new)))
