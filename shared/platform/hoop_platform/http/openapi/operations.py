"""One operation: parameters, body, responses and errors."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hoop_platform.http.openapi.headers import carried
from hoop_platform.http.openapi.refusals import refused
from hoop_platform.http.openapi.schemas import Schemas
from hoop_platform.http.route import Route

TAGS = {
    "api-keys": "API keys",
    "appointments": "Appointments",
    "block-slots": "Block slots",
    "blocked-slots": "Block slots",
    "connections": "Integrations",
    "contacts": "Contacts",
    "events": "Appointments",
    "free-slots": "Free slots",
    "groups": "Groups",
    "holds": "Holds",
    "integrations": "Integrations",
    "locations": "Locations",
    "notes": "Notes",
    "notifications": "Notifications",
    "resources": "Resources",
    "schedules": "Schedules",
    "users": "Users",
    "webhooks": "Webhooks",
    "calendars": "Calendars",
}
"""Headings by words of the path; the last word that is listed decides."""
NOT_REPEATED = " `Idempotency-Key` is not honoured."
_PART = re.compile(r"\{(\w+)\}")
_WORD = re.compile(r"[A-Za-z0-9]+")


def operation(route: Route, schemas: Schemas, *, service: str) -> dict[str, Any]:
    """The operation object of a route."""
    said: dict[str, Any] = {
        "tags": [_tag(route.path)],
        "summary": _summary(route),
        "operationId": operation_id(route),
        "x-service": service,
        "parameters": [*_parameters(route, schemas)],
        "responses": {str(route.status): _answered(route, schemas), **refused(route)},
        "security": [{"bearer": [scope]} for scope in route.scopes],
    }
    if description := _description(route):
        said["description"] = description
    if route.body is not None:
        said["requestBody"] = _body(route, schemas[route.body])
    return said


def operation_id(route: Route) -> str:
    """The name of a client's method, from the title: `Create appointment` is `create_appointment`."""
    words: list[str] = _WORD.findall(_summary(route).partition(":")[0])
    return "_".join(words).lower()


def _summary(route: Route) -> str:
    return route.summary or f"{route.method} {route.path}"


def _description(route: Route) -> str:
    kept_out = route.writes and route.scopes and not route.takes_key
    return (route.description + (NOT_REPEATED if kept_out else "")).strip()


def _tag(path: str) -> str:
    words = [word for word in path.split("/") if word in TAGS]
    return TAGS[words[-1]] if words else "About"


def _parameters(route: Route, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for name in _PART.findall(route.path):
        values = route.choices.get(name)
        schema = {"type": "string"} if values is None else {"type": "string", "enum": [*values]}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if route.query is not None:
        yield from _query(schemas[route.query])
    headers = ["Version"] * (route.scope is not None)
    headers += ["Idempotency-Key"] * route.takes_key + ["If-Match"] * route.takes_version
    for name in (*headers, *route.headers):
        yield {"$ref": f"#/components/parameters/{name}"}


def _query(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, rule in schema.get("properties", {}).items():
        plain = {key: value for key, value in rule.items() if key not in ("description", "title")}
        found: dict[str, Any] = {"name": name, "in": "query", "schema": _said(plain)}
        if name in schema.get("required", ()):
            found["required"] = True
        if "description" in rule:
            found["description"] = rule["description"]
        yield found


def _said(rule: dict[str, Any]) -> dict[str, Any]:
    """A query cannot carry null: a nullable parameter may be left out."""
    options = [option for option in rule.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        rest = {key: value for key, value in rule.items() if key not in ("anyOf", "default")}
        return {**options[0], **rest}
    return rule


def _body(route: Route, schema: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": schema}
    if route.examples:
        content["examples"] = {name: {"value": sent} for name, sent in route.examples.items()}
    return {"required": True, "content": {"application/json": content}}


def _answered(route: Route, schemas: Schemas) -> dict[str, Any]:
    schema = {"type": "object"} if route.reply is None else schemas[route.reply]
    if route.media.startswith("text/"):
        schema = {"type": "string"}
    more = ["ETag", "X-Read-Token"] * (route.scope is not None)
    more += ["Idempotent-Replay"] * route.takes_key
    return {
        "description": "Done." if route.writes else "Found.",
        "headers": carried(*more),
        "content": {route.media: {"schema": schema}},
    }
