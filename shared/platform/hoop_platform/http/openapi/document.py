"""The OpenAPI document: its introduction, components and operations."""

from collections.abc import Mapping, Sequence
from typing import Any

from hoop_platform.http.openapi import headers, operations, refusals
from hoop_platform.http.openapi.schemas import schemas_of
from hoop_platform.http.route import Route

INTRODUCTION = """\
Calendars, their team members, and the appointments booked in them.

**Paths** work with and without a trailing slash. **Times** in bodies are ISO 8601 with an offset; in queries
epoch milliseconds are accepted as well. Responses use the offset of the requested time zone.
**Unknown fields** of a body are refused with 422 and their path; unknown query parameters are ignored, except by
the lists of contacts, users, locations, API keys and connections, which refuse them.
A **PUT** changes only the fields that are sent. **Ids** are 26 characters of `0-9a-v`; an id of another
account is answered like an unknown one.

**Every response** carries a trace id (`X-Trace-Id`, and `traceId` in every object) and rate limit headers.
**Errors** have one shape: `code` is stable, `message` is for people, `details` name the fields.

A change may carry an **`Idempotency-Key`**: a repetition within 24 hours changes nothing and gets the same
response. An error does not use up its key. **`If-Match`** ties a change to the version that it is based on.
**`X-Read-Token`** of a response, sent along with a request for free slots, waits until that change is visible.
"""


def document(services: Mapping[str, Sequence[Route]], *, version: str) -> dict[str, Any]:
    """The document of these services' routes."""
    routes = [(name, route) for name, table in services.items() for route in table]
    schemas, definitions = schemas_of([route for _, route in routes])
    paths: dict[str, Any] = {}
    for name, route in sorted(routes, key=lambda found: (found[1].path, found[1].method)):
        described = operations.operation(route, schemas, service=name)
        paths.setdefault(route.path, {})[route.method.lower()] = described
    tags = sorted({op["tags"][0] for path in paths.values() for op in path.values()})
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hoop", "version": version, "description": INTRODUCTION},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "security": [],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."}
            },
            "headers": headers.HEADERS,
            "parameters": headers.PARAMETERS,
            "responses": refusals.responses(route for _, route in routes),
            "schemas": dict(sorted({**headers.SCHEMAS, **refusals.SCHEMAS, **definitions}.items())),
        },
    }
