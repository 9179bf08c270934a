"""Calls to a provider: bounded in time and size, never redirected, never repeated unseen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    StreamReader,
)

from hoop_platform.providers.errors import OutcomeUnknown, ProviderDown, Unreachable

LARGEST_RESPONSE = 64 * 1024
"""Bytes, unless the caller expects longer ones."""
CONNECT_SECONDS = 3.0
LONGEST_RETRY_AFTER = timedelta(hours=25)
"""A day's quota, and the hour by which clocks may differ from it."""


@dataclass(frozen=True)
class ServerResponse:
    """A response, with the three members that authlib reads; `repr` does not show the body."""

    provider: str
    status_code: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def json(self) -> Any:
        """The body as JSON. Raises ValueError, also for nesting at which `json.loads` overflows."""
        return orjson.loads(self.body)

    def raise_for_status(self) -> None:
        """Raise `ProviderDown` unless the status is 200."""
        if self.status_code != 200:
            text = f"{self.provider} answered {self.status_code}"
            raise ProviderDown(text, retry_after=_seconds(self.headers.get("Retry-After", "")))

    def retry_after(self, now: datetime) -> timedelta | None:
        """The wait that the response demands; see `parse_retry_after`."""
        return parse_retry_after(self.headers.get("Retry-After"), now=now)


async def send(
    http: ClientSession,
    provider: str,
    method: str,
    url: str,
    *,
    timeout: float,
    largest: int = LARGEST_RESPONSE,
    **request: Any,
) -> ServerResponse:
    """One call of at most `timeout` seconds, with aiohttp's arguments of a `request`.

    Raises `Unreachable` when it was not sent, and `OutcomeUnknown` without a whole response of at most
    `largest` bytes.
    """
    request |= {
        "timeout": ClientTimeout(total=timeout, connect=CONNECT_SECONDS),
        "allow_redirects": False,
        "middlewares": (_without_retry,),
    }
    try:
        async with http.request(method, url, **request) as response:
            body = await _read(response.content, largest)
            return ServerResponse(provider, response.status, body, response.headers.copy())
    except ClientConnectorError as error:
        raise Unreachable(f"{provider} cannot be reached: {type(error).__name__}") from error
    except (ClientError, TimeoutError, OSError) as error:
        raise OutcomeUnknown(f"{provider} did not answer: {type(error).__name__}") from error


async def send_to_authorization_server(
    http: ClientSession, provider: str, method: str, url: str, *, timeout: float, **request: Any
) -> ServerResponse:
    """As `send`, for calls about tokens: raises `ProviderDown` without a whole response."""
    try:
        return await send(http, provider, method, url, timeout=timeout, **request)
    except (Unreachable, OutcomeUnknown) as error:
        raise ProviderDown(str(error)) from error


async def _without_retry(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Prevents aiohttp's own repeat of an idempotent call whose connection broke: no quota counts it."""
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as error:
        raise ClientPayloadError(f"no response: {type(error).__name__}") from error


async def _read(content: StreamReader, largest: int) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(64 * 1024):
        body += chunk
        if len(body) > largest:
            raise ClientPayloadError(f"the response is longer than {largest} bytes")
    return bytes(body)


def parse_retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """The header `Retry-After`: seconds, an HTTP date (RFC 9110), or ISO 8601 as Zoom writes it.

    At most `LONGEST_RETRY_AFTER`; None if it cannot be read, or is no time in the future.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return _seconds(text)
    instant = _instant(text)
    wait = timedelta() if instant is None else min(instant - now, LONGEST_RETRY_AFTER)
    return wait if wait > timedelta() else None


def _seconds(text: str) -> timedelta | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER) or None


def _instant(text: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            instant = parse(text)
        except ValueError:
            continue
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return None
