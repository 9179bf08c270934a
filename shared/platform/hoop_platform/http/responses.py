"""Responses: objects carry the trace id, errors have one shape, and no driver text leaks."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel

from hoop_platform.db.database import TRANSIENT
from hoop_platform.errors import (
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
)
from hoop_platform.http.route import Reply
from hoop_platform.telemetry import cause, log, trace_id

COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Server": "hoop",
}


class _NoOperation(NotFound):
    """No route has the path of the request."""

    text = "No operation has this path."


def to_response(result: object, status: int) -> web.Response:
    """A handler's result as a response."""
    reply = result if isinstance(result, Reply) else Reply(result)
    status = reply.status or status
    if reply.content_type != "application/json":
        return web.Response(
            body=reply.body if isinstance(reply.body, bytes) else str(reply.body or "").encode(),
            status=status,
            headers={"X-Trace-Id": trace_id(), **reply.headers},
            content_type=reply.content_type,
            charset="utf-8" if reply.content_type.startswith("text/") else None,
        )
    return _json(reply.body, status, reply.headers)


def serialized(result: object, status: int) -> Reply:
    """A handler's result with its status, its JSON as text, so that it can be stored and sent again."""
    reply = result if isinstance(result, Reply) else Reply(result)
    content = _content(reply.body)
    text = content if isinstance(content, bytes) else orjson.dumps(content)
    return replace(reply, status=reply.status or status, body=text)


def _content(body: object) -> Any:
    return body.model_dump(mode="json", by_alias=True) if isinstance(body, BaseModel) else body


def _json(body: object, status: int, headers: Mapping[str, str]) -> web.Response:
    content = _content(body)
    trace = trace_id()
    if isinstance(content, Mapping):
        content = {**content, "traceId": trace}
    return web.Response(
        body=_with_trace_id(content, trace)
        if isinstance(content, bytes)
        else orjson.dumps(content),
        status=status,
        headers={"X-Trace-Id": trace, **headers},
        content_type="application/json",
    )


def _with_trace_id(document: bytes, trace: str) -> bytes:
    """Serialized JSON; an object gets the trace id as its last member."""
    if document[:1] != b"{":
        return document
    comma = b"," if document[:2] != b"{}" else b""
    return b'%b%b"traceId":"%b"}' % (document[:-1], comma, trace.encode())


def error_response(error: Exception) -> web.Response:
    """The response to an exception; one that is not a refusal is logged and becomes 500."""
    refused = _as_refusal(error)
    if refused is None:
        log.error("request failed", exc_info=error)
        return _json(_body(500, "internal", "Something went wrong here; it is logged."), 500, {})
    message: object = refused.message
    if isinstance(refused, Invalid):
        message = [f"{d.path}: {d.message}" if d.path else d.message for d in refused.details]
    body = _body(refused.status, refused.code, message or [refused.message])
    body["details"] = [detail.as_json() for detail in refused.details]
    return _json({**body, **refused.extra}, refused.status, refused.headers)


def _as_refusal(error: Exception) -> Refused | None:
    if isinstance(error, Refused):
        return error
    if isinstance(error, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLarge()
    if isinstance(error, web.HTTPException):
        return _NoOperation() if error.status == NotFound.status else Malformed()
    if isinstance(error, TRANSIENT):
        log.warning("unavailable", error=cause(error))
        return Unavailable(headers={"Retry-After": "1"})
    return None


def _body(status: int, code: str, message: object) -> dict[str, Any]:
    return {
        "statusCode": status,
        "message": message,
        "error": HTTPStatus(status).phrase if status != 422 else "Unprocessable Entity",
        "code": code,
        "details": [],
    }
