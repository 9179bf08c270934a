"""Zoom's error responses: `{"code", "message"[, "errors"]}`; the token endpoint has another shape."""

from collections.abc import Iterable

from aiohttp import web

from simulators.base import EarlyResponse
from simulators.json_schema import Problem

TOO_FAST = "You have reached the maximum per-second rate limit for this API. Try again later."
TYPICAL_ERRORS = {
    400: (300, "Validation Failed."),
    401: (124, "Invalid access token."),
    403: (200, "No permission."),
    404: (3001, "Meeting does not exist."),
    405: (405, "Method not allowed."),
    429: (429, TOO_FAST),
}


def refusal(status: int, code: int, message: str) -> EarlyResponse:
    return EarlyResponse(web.json_response({"code": code, "message": message}, status=status))


def typical_error(status: int) -> web.Response:
    """The typical response of this status; an unlisted status is an internal error."""
    code, message = TYPICAL_ERRORS.get(status, (status, "Internal Server Error"))
    return web.json_response({"code": code, "message": message}, status=status)


def not_valid(found: Iterable[Problem]) -> EarlyResponse:
    errors = [{"field": problem.path, "message": problem.message} for problem in found]
    body = {"code": 300, "message": "Validation Failed.", "errors": errors}
    return EarlyResponse(web.json_response(body, status=400))


def meeting_not_found(meeting_id: str) -> EarlyResponse:
    return refusal(404, 3001, f"Meeting does not exist: {meeting_id}.")


def user_not_found(user_id: str) -> EarlyResponse:
    return refusal(404, 1001, f"User does not exist: {user_id}.")


def scope_missing(scope: str) -> EarlyResponse:
    text = f"Invalid access token, does not contain scopes:[{scope}, {scope}:admin]."
    return refusal(400, 4711, text)


def token_refusal(status: int, error: str, reason: str, code: int | None = None) -> EarlyResponse:
    """An error of the token endpoint; `code` is one of Zoom's numeric OAuth errors (4738, 4741 …)."""
    body: dict[str, str | int] = {"reason": reason, "error": error}
    if code is not None:
        body["code"] = code
    return EarlyResponse(web.json_response(body, status=status))
