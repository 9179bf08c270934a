"""What Google's refusals mean: its status and the slug in its error envelope, as our troubles.

Source: "Handle API errors" of Google's Calendar guide. An answer without the envelope is none.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from sync_google.domain import (
    AccessLost,
    Changed,
    Missing,
    NoAnswer,
    QuotaSpent,
    Rejected,
    Taken,
    TokenRejected,
    TooMany,
    Trouble,
)

LONGEST_PAUSE = timedelta(hours=25)
OUR_QUOTA_PAUSE = timedelta(minutes=15)

THROTTLED = ("rateLimitExceeded", "userRateLimitExceeded")
SCOPE_LOST = ("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT")
CALENDAR_LOST = ("forbidden", "requiredAccessLevel")

_KNOWN: dict[int, type[Trouble]] = {
    400: Rejected,
    401: TokenRejected,
    404: Missing,
    409: Taken,
    410: Missing,
    412: Changed,
}


def trouble(status: int, said: Any, wait: timedelta | None) -> Trouble:
    """What went wrong. `said` is the answer's JSON, or None; `wait` its `Retry-After`."""
    reason = _reason(said)
    text = f"{status} {reason}".strip()
    if status == 429:
        return TooMany(text, wait)
    if status == 403 and reason:
        return _forbidden(reason, text, wait)
    if status in _KNOWN and reason:
        return _KNOWN[status](text, wait)
    return NoAnswer(f"google answered {text}", wait)


def _forbidden(reason: str, text: str, wait: timedelta | None) -> Trouble:
    if reason in THROTTLED:
        return TooMany(text, wait)
    if reason == "quotaExceeded":
        return QuotaSpent(text)
    if reason in SCOPE_LOST:
        return AccessLost(text, reason="scope_missing")
    if reason in CALENDAR_LOST:
        return AccessLost(text, reason="calendar_forbidden")
    if reason.endswith("LimitExceeded") or reason == "accessNotConfigured":
        return TooMany(text, wait or OUR_QUOTA_PAUSE)  # of our own project: time may help
    return Rejected(text)


def _reason(said: Any) -> str:
    try:
        return str(said["error"]["errors"][0]["reason"])[:100]
    except (KeyError, IndexError, TypeError):
        return ""


def pause(text: str | None, *, now: datetime) -> timedelta | None:
    """`Retry-After`, in seconds or as a date; never longer than a day, None when it is no wait."""
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9:
        wait = timedelta(seconds=int(text))
    else:
        try:
            wait = parsedate_to_datetime(text).astimezone(UTC) - now
        except ValueError:
            return None
    return min(wait, LONGEST_PAUSE) if wait > timedelta() else None
