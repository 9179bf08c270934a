"""The JSON Schema of an event, as consumers without these models read it: draft 2020-12.

The schemas of all published revisions are in shared/events/schemas, made by `./hoop codegen`.
"""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from hoop_events.base import Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TOPIC = "x-topic"
"""Keyword of ours: the Kafka topic of the records."""
KEY = "x-key"
"""Keyword of ours: the kind of aggregate whose id is the key of the records."""


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes from field names: `Calendarid` explains nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 -- pydantic's hook
        return False


def json_schema(event: type[Event], revision: int) -> dict[str, Any]:
    """The schema of an event's body, under the `$id` that records of this revision carry.

    Descriptions are the docstrings of models and fields. Required is what every record has; what has
    a default may be absent in records of older revisions. Unknown properties are allowed, since later
    revisions add some. The topic and the kind of key are in keywords of ours, which validators ignore.
    """
    body = event.model_json_schema(schema_generator=_WithoutFieldTitles)
    return {
        "$schema": DIALECT,
        "$id": event.dataschema(revision),
        "title": body.pop("title"),
        TOPIC: event.topic,
        KEY: event.key,
        **body,
    }
