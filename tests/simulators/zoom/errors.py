"""Zoom's error answers: `{"code", "message"[, "errors"]}`, and another shape at the token endpoint."""

from collections.abc import Iterable

from aiohttp import web

from simulators.frame import Answer
from simulators.schema import Problem

TOO_FAST = "You have reached the maximum per-second rate limit for this API. Try again later."
USUAL = {
    400: (300, "Validation Failed."),
    401: (124, "Invalid access token."),
    403: (200, "No permission."),
    404: (3001, "Meeting does not exist."),
    405: (405, "Method not allowed."),
    429: (429, TOO_FAST),
}


def refusal(status: int, code: int, message: str) -> Answer:
    return Answer(web.json_response({"code": code, "message": message}, status=status))


def usual(status: int) -> web.Response:
    """The typical answer of this status; anything not listed is an internal error."""
    code, message = USUAL.get(status, (status, "Internal Server Error"))
    return web.json_response({"code": code, "message": message}, status=status)


def not_valid(found: Iterable[Problem]) -> Answer:
    errors = [{"field": problem.path, "message": problem.message} for problem in found]
    body = {"code": 300, "message": "Validation Failed.", "errors": errors}
    return Answer(web.json_response(body, status=400))


def no_meeting(meeting_id: str) -> Answer:
    return refusal(404, 3001, f"Meeting does not exist: {meeting_id}.")


def no_user(user_id: str) -> Answer:
    return refusal(404, 1001, f"User does not exist: {user_id}.")


def lacks_scope(scope: str) -> Answer:
    text = f"Invalid access token, does not contain scopes:[{scope}, {scope}:admin]."
    return refusal(400, 4711, text)


def no_token(status: int, error: str, reason: str, code: int | None = None) -> Answer:
    """The token endpoint's refusal; `code` is one of Zoom's numeric OAuth errors (4738, 4741 …)."""
    body: dict[str, str | int] = {"reason": reason, "error": error}
    if code is not None:
        body["code"] = code
    return Answer(web.json_response(body, status=status))
