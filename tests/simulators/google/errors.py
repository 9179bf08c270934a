"""Google's error envelope, and the refusals the calendar API is known for."""

from aiohttp import web

from simulators.frame import Answer

USUAL = {
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
    """`where` is `location` and `locationType`, when Google names them."""
    item = {"domain": domain, "reason": reason, "message": message, **where}
    error = {"errors": [item], "code": status, "message": message}
    return web.json_response({"error": error}, status=status)


def usual(status: int) -> web.Response:
    return envelope(status, *USUAL.get(status, ("global", "backendError", "Backend Error")))


def refusal(status: int, domain: str, reason: str, message: str, **where: str) -> Answer:
    return Answer(envelope(status, domain, reason, message, **where))


def invalid(message: str, *, reason: str = "invalid") -> Answer:
    return refusal(400, "global", reason, message)


def bad_parameter(name: str, message: str, *, reason: str = "invalidParameter") -> Answer:
    return refusal(400, "global", reason, message, locationType="parameter", location=name)


def unauthorized() -> Answer:
    answer = envelope(
        401,
        "global",
        "authError",
        "Invalid Credentials",
        locationType="header",
        location="Authorization",
    )
    answer.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/"'
    return Answer(answer)


def lacks_scope() -> Answer:
    text = "Request had insufficient authentication scopes."
    return refusal(403, "global", "insufficientPermissions", text)


def needs_access(level: str) -> Answer:
    text = f"You need to have {level} access to this calendar."
    return refusal(403, "calendar", "requiredAccessLevel", text)


def forbidden(message: str) -> Answer:
    return refusal(403, "calendar", "forbidden", message)


def not_found() -> Answer:
    return Answer(usual(404))


def duplicate() -> Answer:
    return Answer(usual(409))


def deleted() -> Answer:
    return Answer(usual(410))


def stale() -> Answer:
    return refusal(
        412,
        "global",
        "conditionNotMet",
        "Precondition Failed",
        locationType="header",
        location="If-Match",
    )


def full_sync_required() -> Answer:
    return refusal(
        410,
        "calendar",
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        locationType="parameter",
        location="syncToken",
    )


def rate_limited(status: int) -> Answer:
    reason = "userRateLimitExceeded" if status == 403 else "rateLimitExceeded"
    text = "User Rate Limit Exceeded" if status == 403 else "Rate Limit Exceeded"
    return refusal(status, "usageLimits", reason, text)


def quota_exceeded() -> Answer:
    return refusal(403, "usageLimits", "quotaExceeded", "Calendar usage limits exceeded.")
