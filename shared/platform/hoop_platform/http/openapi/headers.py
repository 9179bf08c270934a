"""The headers of requests and responses."""

from typing import Any

from hoop_platform.http.route import VERSIONS

SCHEMAS: dict[str, Any] = {"Version": {"type": "string", "enum": list(VERSIONS)}}
"""One schema: a client that is generated has one type of it, and not one for each operation."""

PARAMETERS: dict[str, Any] = {
    "Version": {
        "name": "Version",
        "in": "header",
        "required": True,
        "description": "The version of the API that the client was written for.",
        "schema": {"$ref": "#/components/schemas/Version"},
        "example": VERSIONS[-1],
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A new one for each change, the same when it is sent again: it is done once,"
        " and answered alike for 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` of the version that the change was decided on.",
        "schema": {"type": "string", "pattern": r'^("[0-9]{1,18}"|[0-9]{1,18}|\*)$'},
        "example": '"3"',
    },
    "X-Read-Token": {
        "name": "X-Read-Token",
        "in": "header",
        "description": "Of the answer to a change, sent back unchanged: what is answered here must"
        " not be older. `X-Stale: true` says when that was too much to ask.",
        "schema": {"type": "string", "maxLength": 2048},
    },
}

RATE = {
    "X-RateLimit-Limit-Daily": "Requests a day (UTC) of the account.",
    "X-RateLimit-Daily-Remaining": "How many of them are left.",
    "X-RateLimit-Daily-Reset": "Seconds until they are all back.",
    "X-RateLimit-Interval-Milliseconds": "The window that is tighter right now.",
    "X-RateLimit-Max": "Requests in that window.",
    "X-RateLimit-Remaining": "How many of them are left.",
}
_TEXTS = {
    "X-Trace-Id": "The trace of this request (W3C), for questions about it.",
    "ETag": "The version of what is answered, for `If-Match`.",
    "X-Read-Token": "To be sent along when asking for free slots: they are no older than this.",
    "Idempotent-Replay": "`true`: this was answered before, and nothing was done now.",
    "Retry-After": "Seconds to wait.",
    "WWW-Authenticate": "`Bearer`.",
}
_NUMBERS = {*RATE, "Retry-After"}
HEADERS: dict[str, Any] = {
    name: {
        "description": text,
        "schema": {"type": "integer"} if name in _NUMBERS else {"type": "string"},
    }
    for name, text in {**RATE, **_TEXTS}.items()
}
"""Response headers."""


def carried(*more: str) -> dict[str, Any]:
    """The headers of every response, and these."""
    names = sorted(("X-Trace-Id", *RATE, *more))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
