"""What Zoom's answers mean: what is read from them, and which trouble the others stand for.

Sources: Zoom's API reference for rate limits and error definitions. Where field reports contradict
it, the HTTP status counts first and Zoom's own code second.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from meetings.domain import (
    NotThere,
    ProviderTrouble,
    Refusal,
    Rejected,
    ScopeLost,
    TokenRejected,
    TooMany,
    Unsure,
)

T = TypeVar("T", bound=BaseModel)

LONGEST_PAUSE = timedelta(hours=25)
SCOPE_CODES = (4700, 4711)
NO_SUCH_USER = 1001

_DAILY = re.compile(r"daily\s+(rate\s+)?limit", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class MeetingAnswer(BaseModel):
    id: int = Field(gt=0, lt=10**15)
    join_url: str
    topic: str = ""
    duration: int = 0
    agenda: str = ""


class StartAnswer(BaseModel):
    start_url: str


class PageAnswer(BaseModel):
    meetings: list[dict[str, Any]]
    next_page_token: str = ""


class UserAnswer(BaseModel):
    id: str = Field(min_length=1, max_length=200)
    email: str = Field(min_length=1, max_length=320)


class _Error(BaseModel):
    code: int
    message: str = ""
    errors: list[dict[str, Any]] = []


def parsed(model: type[T], answer: Answer) -> T:
    """The answer's body. Raises `Unsure` when it is not what it should be."""
    try:
        return model.model_validate_json(answer.body)
    except ValidationError:
        # Without a cause: the error would quote the answer, which may hold a host's start link.
        raise Unsure(f"zoom's answer {answer.status} cannot be read") from None


def trouble_of(answer: Answer, *, now: datetime) -> ProviderTrouble:
    """What an answer means that is not the one hoped for."""
    said = _error(answer.body)
    text = f"zoom answered {answer.status}" + (f"/{said.code}: {_words(said)}" if said else "")
    if answer.status == 429:
        return _too_many(answer, said, text, now=now)
    if answer.status == 401:
        lost = said is not None and said.code in SCOPE_CODES
        return ScopeLost(text) if lost else TokenRejected(text)
    if said is None or not 400 <= answer.status < 500:
        return Unsure(text)
    return _refusal(answer.status, said.code)(text)


def _refusal(status: int, code: int) -> type[Refusal]:
    if code in SCOPE_CODES:
        return ScopeLost
    if status == 404 and code != NO_SUCH_USER:
        return NotThere
    return Rejected


def _error(body: bytes) -> _Error | None:
    try:
        return _Error.model_validate_json(body)
    except ValidationError:
        return None


def _words(said: _Error) -> str:
    fields = ", ".join(str(e.get("field")) for e in said.errors if e.get("field"))
    return f"{said.message[:200]} {fields[:100]}".strip()


def _too_many(answer: Answer, said: _Error | None, text: str, *, now: datetime) -> TooMany:
    """The user's daily limit has been seen without any header that would tell it from the others."""
    by_type = answer.headers.get("X-RateLimit-Type", "").lower().startswith("daily")
    daily = by_type or bool(said and _DAILY.search(said.message))
    wait = _pause(answer.headers.get("Retry-After"), now=now)
    return TooMany(text, wait=wait, daily=daily)


def _pause(said: str | None, *, now: datetime) -> timedelta | None:
    """`Retry-After`: seconds, or an instant as ISO 8601 (Zoom) or as an HTTP date (RFC 9110)."""
    if said is None:
        return None
    text = said.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_PAUSE)
    moment = _moment(text)
    return None if moment is None else min(max(moment - now, timedelta()), LONGEST_PAUSE)


def _moment(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
