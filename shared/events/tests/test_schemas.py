"""What is published of the events: the schemas are valid, say what the models do, and fit all records."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from hoop_events.catalogue import EVENTS
from hoop_events.codec import decode, envelope
from hoop_events.json_schema import json_schema

FOLDER = Path(__file__).parents[1]
SCHEMAS = sorted((FOLDER / "schemas").glob("*/*.json"))
each_schema = pytest.mark.parametrize(
    "path", SCHEMAS, ids=[f"{path.parent.name}-{path.stem}" for path in SCHEMAS]
)
each_event = pytest.mark.parametrize("event", EVENTS, ids=[event.type for event in EVENTS])


def schemas(event_type: str) -> Iterator[tuple[int, dict]]:
    for path in sorted((FOLDER / "schemas" / event_type).iterdir()):
        yield int(path.stem), json.loads(path.read_text())


def golden(event_type: str) -> Iterator[tuple[str, dict]]:
    """The golden records of all revisions of an event type, with their names."""
    for path in sorted((FOLDER / "golden" / event_type).iterdir()):
        for name, record in json.loads(path.read_text()).items():
            yield f"{path.stem}: {name}", record


def paths(value: object, so_far: tuple = ()) -> Iterator[tuple]:
    """The path of every property in a JSON value."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield (*so_far, key)
            yield from paths(each, (*so_far, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from paths(each, (*so_far, index))


def without(value: dict, path: tuple) -> dict:
    result = copy.deepcopy(value)
    inner = result
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return result


@each_schema
def test_a_schema_is_one_under_its_own_name(path):
    """Valid JSON Schema 2020-12, described, open, and `$id` is where its file lies."""
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert schema["$id"] == f"/schemas/{path.parent.name}/{path.stem}.json"
    assert schema["title"] == path.parent.name
    assert '"additionalProperties": false' not in path.read_text()


@each_event
def test_records_name_the_schema_that_they_are_written_in(event):
    """`ce_dataschema` of today's records is the `$id` of the newest revision."""
    newest, schema = max(schemas(event.type))
    assert event.dataschema() == schema["$id"] == event.dataschema(newest)
    assert set(schema["properties"]) == set(json_schema(event, newest)["properties"])


@each_event
def test_every_record_ever_published_fits_every_schema_ever_published(event):
    """In both directions: consumers of any revision read the records of any other."""
    for _, schema in schemas(event.type):
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        for name, record in golden(event.type):
            errors = [error.message for error in validator.iter_errors(json.loads(record["body"]))]
            assert (name, errors) == (name, [])


@each_event
def test_every_golden_record_decodes(event):
    for _, record in golden(event.type):
        headers = [(name, value.encode()) for name, value in record["headers"].items()]
        assert decode(envelope(headers), record["body"].encode(), EVENTS).type == event.type


@each_event
def test_a_golden_file_has_a_minimal_and_a_full_record_and_each_enumerated_value(event):
    for path in sorted((FOLDER / "golden" / event.type).iterdir()):
        schema = (FOLDER / "schemas" / event.type / path.name).read_text()
        bodies = [record["body"] for record in json.loads(path.read_text()).values()]
        assert {"minimal", "full"} <= json.loads(path.read_text()).keys()
        for definition in json.loads(schema).get("$defs", {}).values():
            for field in definition.get("properties", {}).values():
                for value in field.get("enum", ()):
                    assert any(f'"{value}"' in body for body in bodies), value


@each_event
def test_the_schema_requires_what_the_model_requires(event):
    """Without any one property, a record is valid for the schema if and only if the model reads it."""
    validator = Draft202012Validator(json_schema(event, 1))
    full = dict(golden(event.type))["1: full"]
    body = json.loads(full["body"])
    for path in paths(body):
        smaller = without(body, path)
        try:
            event.model_validate_json(json.dumps(smaller))
        except ValidationError:
            assert not validator.is_valid(smaller), path
        else:
            assert validator.is_valid(smaller), path
