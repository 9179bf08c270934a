"""Google's error responses as our errors: by the status, and the reason in the error envelope.

Source: "Handle API errors" of Google's Calendar guide. A response without that envelope is not
from the Calendar API, and says nothing about the event.
"""

from datetime import timedelta
from typing import Any

from hoop_platform.providers.errors import (
    IdTaken,
    ObjectNotFound,
    OutcomeUnknown,
    PermissionLost,
    ProviderError,
    QuotaExceeded,
    RateLimited,
    RequestRejected,
    TokenRejected,
    VersionConflict,
)

PROJECT_LIMIT_WAIT = timedelta(minutes=15)

RATE_LIMIT_REASONS = ("rateLimitExceeded", "userRateLimitExceeded")
SCOPE_REASONS = ("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
CALENDAR_REASONS = ("forbidden", "requiredAccessLevel")

_BY_STATUS: dict[int, type[ProviderError]] = {
    400: RequestRejected,
    401: TokenRejected,
    404: ObjectNotFound,
    409: IdTaken,
    410: ObjectNotFound,
    412: VersionConflict,
}


def error_from_response(status: int, body: Any, wait: timedelta | None) -> ProviderError:
    """The error for a response. `body` is its JSON, or None; `wait` its `Retry-After`."""
    reason = _reason(body)
    text = f"{status} {reason}".strip()
    if status == 429:
        return RateLimited(text, wait)
    if status == 403 and reason:
        return _forbidden(reason, text, wait)
    if status in _BY_STATUS and reason:
        return _BY_STATUS[status](text, wait)
    return OutcomeUnknown(f"google responded {text}", wait)


def _forbidden(reason: str, text: str, wait: timedelta | None) -> ProviderError:
    if reason in RATE_LIMIT_REASONS:
        return RateLimited(text, wait)
    if reason == "quotaExceeded":
        return QuotaExceeded(text)
    if reason in SCOPE_REASONS:
        return PermissionLost(text, reason="scope_missing")
    if reason in CALENDAR_REASONS:
        return PermissionLost(text, reason="calendar_forbidden")
    if reason.endswith("LimitExceeded") or reason == "accessNotConfigured":
        return RateLimited(text, wait or PROJECT_LIMIT_WAIT)  # a limit of our Google project
    return RequestRejected(text)


def _reason(body: Any) -> str:
    try:
        return str(body["error"]["errors"][0]["reason"])[:100]
    except (KeyError, IndexError, TypeError):
        return ""
