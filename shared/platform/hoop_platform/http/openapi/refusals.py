"""The error responses of an operation: one for each status, with its codes."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from hoop_platform import errors
from hoop_platform.errors import Refused
from hoop_platform.http.openapi.headers import carried
from hoop_platform.http.route import Route

Reasons = tuple[type[Refused], ...]


class Internal(Refused):
    """An internal error, in the same shape."""

    code, status = "internal", 500
    text = "Something went wrong here; it is logged."
    remedy = "Repeat the request later; name the trace id when asking about it."


def _codes() -> list[dict[str, Any]]:
    """All errors by status and code."""
    known: list[type[Refused]] = [Internal]
    known += [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, Refused) and kind is not Refused
    ]
    ordered = sorted(known, key=lambda kind: (kind.status, kind.code))
    return [
        {"code": kind.code, "status": kind.status, "text": kind.text, "remedy": kind.remedy}
        for kind in ordered
    ]


def _shape(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["statusCode", "message", "error", "code", "details", "traceId"],
        "properties": {
            "statusCode": {"type": "integer"},
            "message": message,
            "error": {"type": "string", "description": "The name of the status."},
            "code": {
                "type": "string",
                "description": "Stable, for programs.",
                "x-codes": _codes(),
            },
            "details": {"type": "array", "items": {"$ref": "#/components/schemas/RefusedField"}},
            "traceId": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        },
    }


SCHEMAS: dict[str, Any] = {
    "Refusal": _shape({"type": "string", "description": "For people."}),
    "RefusalOfFields": _shape(
        {"type": "array", "items": {"type": "string"}, "description": "For people, one a field."}
    ),
    "RefusedField": {
        "type": "object",
        "required": ["path", "code", "message"],
        "properties": {
            "path": {"type": "string", "examples": ["teamMembers.0.userId"]},
            "code": {"type": "string"},
            "message": {"type": "string"},
            "allowed": {
                "type": "array",
                "items": {},  # of any type; without it, generators of clients give up on refusals
                "description": "The values that may stand there.",
            },
        },
    },
}


def refused(route: Route) -> dict[str, Any]:
    """The error responses of an operation."""
    return {
        str(reasons[0].status): {"$ref": f"#/components/responses/{_name(reasons)}"}
        for reasons in _by_status(route)
    }


def responses(routes: Iterable[Route]) -> dict[str, Any]:
    """The error responses that these operations refer to."""
    found = {_name(reasons): reasons for route in routes for reasons in _by_status(route)}
    return {name: _response(found[name]) for name in sorted(found)}


def _by_status(route: Route) -> list[Reasons]:
    known = dict.fromkeys([*_common(route), *route.refusals])
    statuses = sorted({reason.status for reason in known})
    return [
        tuple(sorted({r for r in known if r.status == status}, key=lambda r: r.code))
        for status in statuses
    ]


def _common(route: Route) -> Iterator[type[Refused]]:
    yield from (errors.Malformed, errors.TooMany, Internal, errors.Unavailable)
    if route.scope is not None:
        yield from (errors.Unauthorized, errors.VersionRequired, errors.VersionUnknown)
        yield errors.ScopeMissing
        if route.writes:
            yield errors.AccountReadOnly
    if "{" in route.path:
        yield errors.NotFound
    if route.body is not None:
        yield from (errors.TooSlow, errors.TooLarge, errors.UnsupportedMedia)
    if route.body or route.query or route.choices:
        yield errors.Invalid
    if route.takes_version:
        yield errors.PreconditionFailed
    if route.takes_key:
        yield from (errors.IdempotencyMismatch, errors.IdempotencyInFlight)


def _name(reasons: Reasons) -> str:
    return "-".join((str(reasons[0].status), *(reason.code for reason in reasons)))


def _response(reasons: Reasons) -> dict[str, Any]:
    status = HTTPStatus(reasons[0].status)
    shape = "RefusalOfFields" if status == errors.Invalid.status else "Refusal"
    more = ["Retry-After"] * (status in (409, 429, 503)) + ["WWW-Authenticate"] * (status == 401)
    return {
        "description": "\n".join(f"- `{r.code}`: {r.text} {r.remedy}" for r in reasons),
        "headers": carried(*more),
        "content": {
            "application/json": {
                "schema": {
                    "allOf": [{"$ref": f"#/components/schemas/{shape}"}],
                    "properties": {
                        "statusCode": {"const": int(status)},
                        "code": {"enum": [reason.code for reason in reasons]},
                    },
                },
                "examples": {reason.code: {"value": _example(reason)} for reason in reasons},
            }
        },
    }


def _example(reason: type[Refused]) -> dict[str, Any]:
    """The error as the service sends it; with one field for 422."""
    phrase = HTTPStatus(reason.status).phrase
    said: dict[str, Any] = {"statusCode": reason.status, "message": reason.text}
    said |= {"error": phrase, "code": reason.code, "details": [], "traceId": "0" * 31 + "1"}
    if issubclass(reason, errors.Invalid):
        rule = "is required"
        said |= {"message": [f"name: {rule}"], "error": "Unprocessable Entity"}
        said["details"] = [{"path": "name", "code": "missing", "message": rule}]
    return said
