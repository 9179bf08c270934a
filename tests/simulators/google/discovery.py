"""Google's discovery document, `calendar.v3.json`: the contract of the simulated API.

The file is that of Google's Python client, which a test compares; the client itself has 114 MB, and
`./hoop up` needs nothing else of it. Paths, methods, scopes, query parameters and bodies are taken from it, so that this simulator accepts
exactly what Google documents.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from simulators.google import errors
from simulators.json_schema import Problem, Schema, problems

DOCUMENT = "calendar.v3.json"
ALWAYS_ALLOWED = frozenset({"access_token", "callback", "upload_protocol"})
# the document says so only in descriptions; Google ignores these fields in requests
READ_ONLY = frozenset(
    {
        "attendeesOmitted",
        "created",
        "creator",
        "endTimeUnspecified",
        "etag",
        "hangoutLink",
        "htmlLink",
        "kind",
        "locked",
        "organizer",
        "originalStartTime",
        "privateCopy",
        "recurringEventId",
        "updated",
    }
)


@dataclass(frozen=True)
class ApiMethod:
    """One method of the API as documented."""

    id: str
    verb: str
    path: str
    scopes: frozenset[str]
    parameters: Mapping[str, Schema]
    body: str | None  # name of the schema

    def check_query(self, query: Mapping[str, str]) -> None:
        """Raises Google's 400 for an unknown parameter or an invalid value."""
        for name, value in query.items():
            if name in ALWAYS_ALLOWED or name.startswith("$"):
                continue
            if name not in self.parameters:
                text = f'Unknown name "{name}": Cannot bind query parameter. Field not found.'
                raise errors.bad_parameter(name, text)
            if problem := _parameter_problem(value, self.parameters[name]):
                raise errors.bad_parameter(name, f"Invalid value '{value}': {problem}")
        for name, schema in self.parameters.items():
            if schema.get("required") and schema["location"] == "query" and name not in query:
                raise errors.bad_parameter(name, f"Required parameter: {name}", reason="required")

    def check_body(self, body: Any) -> dict[str, Any]:
        """The body without read-only fields. Raises Google's 400 for an invalid body."""
        if self.body is None or not isinstance(body, dict):
            raise errors.invalid("This API expects a JSON object.", reason="parseError")
        if found := list(body_problems(self.body, body)):
            raise errors.invalid(_unknown_or_wrong(found[0]), reason="badRequest")
        return {k: v for k, v in body.items() if self.body != "Event" or k not in READ_ONLY}


def body_problems(schema: str, body: dict[str, Any]) -> Iterator[Problem]:
    """The violations of the schema; nulls are allowed (a patch removes a field with null)."""
    return problems(_without_nulls(body), _document()["schemas"][schema], _document()["schemas"])


@cache
def method(method_id: str) -> ApiMethod:
    """The documented method, by its id without the `calendar.` prefix: `events.insert`."""
    resource, name = method_id.split(".")
    document = _document()
    found = document["resources"][resource]["methods"][name]
    return ApiMethod(
        id=method_id,
        verb=found["httpMethod"],
        path=f"/calendar/v3/{found['path']}",
        scopes=frozenset(found["scopes"]),
        parameters={**document["parameters"], **found.get("parameters", {})},
        body=found["request"]["$ref"] if "request" in found else None,
    )


def known_scopes() -> frozenset[str]:
    return frozenset(_document()["auth"]["oauth2"]["scopes"])


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((files("simulators.google") / DOCUMENT).read_text())
    return document


def _parameter_problem(text: str, schema: Schema) -> str | None:
    if "enum" in schema and text not in schema["enum"]:
        return f"must be one of {', '.join(schema['enum'])}"
    if schema["type"] == "boolean":
        return None if text in ("true", "false") else "must be true or false"
    if schema["type"] == "integer":
        least = int(schema.get("minimum", 0))
        return None if text.isdecimal() and int(text) >= least else f"must be at least {least}"
    if schema.get("format") == "date-time":
        return None if _is_instant(text) else "must be an RFC 3339 time with an offset"
    return None


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value


def _unknown_or_wrong(problem: Problem) -> str:
    if problem.message == "is unknown":
        parent, _, name = problem.path.rpartition(".")
        where = f" at '{parent}'" if parent else ""
        return f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    return f"Invalid value at '{problem.path}': {problem.message}"
