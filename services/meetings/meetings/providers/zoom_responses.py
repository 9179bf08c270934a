"""Zoom's responses: their bodies, and the provider errors that the unsuccessful ones stand for.

Sources: Zoom's API reference for rate limits and error definitions. Where field reports contradict
the reference, the HTTP status counts first and Zoom's own error code second.
"""

import re
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from hoop_platform.providers.bounded_http import ServerResponse
from hoop_platform.providers.errors import (
    CallRefused,
    ObjectNotFound,
    OutcomeUnknown,
    PermissionLost,
    ProviderError,
    RateLimited,
    RequestRejected,
    TokenRejected,
)

T = TypeVar("T", bound=BaseModel)

SCOPE_ERROR_CODES = (4700, 4711)
USER_NOT_FOUND_CODE = 1001

_DAILY_LIMIT = re.compile(r"daily\s+(rate\s+)?limit", re.IGNORECASE)


class ZoomMeeting(BaseModel):
    id: int = Field(gt=0, lt=10**15)
    join_url: str
    topic: str = ""
    duration: int = 0
    agenda: str = ""


class ZoomStartLink(BaseModel):
    start_url: str


class ZoomMeetingPage(BaseModel):
    meetings: list[dict[str, Any]]
    next_page_token: str = ""


class ZoomUser(BaseModel):
    id: str = Field(min_length=1, max_length=200)
    email: str = Field(min_length=1, max_length=320)


class _ErrorBody(BaseModel):
    code: int
    message: str = ""
    errors: list[dict[str, Any]] = []


def parse_body(model: type[T], response: ServerResponse) -> T:
    """The body of a successful response. Raises `OutcomeUnknown` when it does not fit the model."""
    try:
        return model.model_validate_json(response.body)
    except ValidationError:
        # Without a cause: that error would quote the body, which may hold a host's start link.
        raise OutcomeUnknown(f"zoom's response {response.status_code} cannot be read") from None


def error_of(response: ServerResponse, *, now: datetime) -> ProviderError:
    """The error that an unsuccessful response stands for."""
    body = _error_body(response.body)
    text = f"zoom responded {response.status_code}"
    if body is not None:
        text += f"/{body.code}: {_description(body)}"
    if response.status_code == 429:
        return _rate_limited(response, body, text, now=now)
    if response.status_code == 401:
        no_scope = body is not None and body.code in SCOPE_ERROR_CODES
        return PermissionLost(text) if no_scope else TokenRejected(text)
    if body is None or not 400 <= response.status_code < 500:
        return OutcomeUnknown(text)
    return _refusal(response.status_code, body.code)(text)


def _refusal(status: int, code: int) -> type[CallRefused]:
    if code in SCOPE_ERROR_CODES:
        return PermissionLost
    if status == 404 and code != USER_NOT_FOUND_CODE:
        return ObjectNotFound
    return RequestRejected


def _error_body(body: bytes) -> _ErrorBody | None:
    """None when the body is not one of Zoom's own errors, but a proxy's page, for example."""
    try:
        return _ErrorBody.model_validate_json(body)
    except ValidationError:
        return None


def _description(body: _ErrorBody) -> str:
    fields = ", ".join(str(error.get("field")) for error in body.errors if error.get("field"))
    return f"{body.message[:200]} {fields[:100]}".strip()


def _rate_limited(
    response: ServerResponse, body: _ErrorBody | None, text: str, *, now: datetime
) -> RateLimited:
    """A 429. The user's daily limit has been seen without the header that names the limit's type."""
    by_header = response.headers.get("X-RateLimit-Type", "").lower().startswith("daily")
    daily = by_header or bool(body and _DAILY_LIMIT.search(body.message))
    wait = response.retry_after(now)
    return RateLimited(text, wait=wait, daily=daily)
