"""Google's error envelope, and the error responses of the Calendar API."""

from aiohttp import web

from simulators.base import EarlyResponse

TYPICAL_ERRORS = {
    400: ("global", "badRequest", "Bad Request"),
    401: ("global", "authError", "Invalid Credentials"),
    403: ("usageLimits", "rateLimitExceeded", "Rate Limit Exceeded"),
    404: ("global", "notFound", "Not Found"),
    405: ("global", "httpMethodNotAllowed", "Method Not Allowed"),
    409: ("global", "duplicate", "The requested identifier already exists."),
    410: ("global", "deleted", "Resource has been deleted"),
    412: ("global", "conditionNotMet", "Precondition Failed"),
    429: ("usageLimits", "rateLimitExceeded", "Rate Limit Exceeded"),
    500: ("global", "backendError", "Backend Error"),
    503: ("global", "backendError", "Service Unavailable"),
}


def envelope(status: int, domain: str, reason: str, message: str, **where: str) -> web.Response:
    """An error response; `where` is `location` and `locationType`, if Google names them."""
    item = {"domain": domain, "reason": reason, "message": message, **where}
    error = {"errors": [item], "code": status, "message": message}
    return web.json_response({"error": error}, status=status)


def typical_error(status: int) -> web.Response:
    return envelope(
        status, *TYPICAL_ERRORS.get(status, ("global", "backendError", "Backend Error"))
    )


def refusal(status: int, domain: str, reason: str, message: str, **where: str) -> EarlyResponse:
    return EarlyResponse(envelope(status, domain, reason, message, **where))


def invalid(message: str, *, reason: str = "invalid") -> EarlyResponse:
    return refusal(400, "global", reason, message)


def bad_parameter(name: str, message: str, *, reason: str = "invalidParameter") -> EarlyResponse:
    return refusal(400, "global", reason, message, locationType="parameter", location=name)


def unauthorized() -> EarlyResponse:
    response = envelope(
        401,
        "global",
        "authError",
        "Invalid Credentials",
        locationType="header",
        location="Authorization",
    )
    response.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/"'
    return EarlyResponse(response)


def scope_missing() -> EarlyResponse:
    text = "Request had insufficient authentication scopes."
    return refusal(403, "global", "insufficientPermissions", text)


def access_required(level: str) -> EarlyResponse:
    text = f"You need to have {level} access to this calendar."
    return refusal(403, "calendar", "requiredAccessLevel", text)


def forbidden(message: str) -> EarlyResponse:
    return refusal(403, "calendar", "forbidden", message)


def not_found() -> EarlyResponse:
    return EarlyResponse(typical_error(404))


def duplicate() -> EarlyResponse:
    return EarlyResponse(typical_error(409))


def deleted() -> EarlyResponse:
    return EarlyResponse(typical_error(410))


def precondition_failed() -> EarlyResponse:
    return refusal(
        412,
        "global",
        "conditionNotMet",
        "Precondition Failed",
        locationType="header",
        location="If-Match",
    )


def full_sync_required() -> EarlyResponse:
    return refusal(
        410,
        "calendar",
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        locationType="parameter",
        location="syncToken",
    )


def rate_limited(status: int) -> EarlyResponse:
    reason = "userRateLimitExceeded" if status == 403 else "rateLimitExceeded"
    text = "User Rate Limit Exceeded" if status == 403 else "Rate Limit Exceeded"
    return refusal(status, "usageLimits", reason, text)


def quota_exceeded() -> EarlyResponse:
    return refusal(403, "usageLimits", "quotaExceeded", "Calendar usage limits exceeded.")
