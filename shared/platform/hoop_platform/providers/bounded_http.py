"""Calls to a provider's authorization server: bounded in time and size, never redirected."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson
from aiohttp import ClientError, ClientPayloadError, ClientSession, ClientTimeout, StreamReader

from hoop_platform.providers.errors import ProviderDown

_MAX_RESPONSE = 64 * 1024  # bytes


@dataclass(frozen=True)
class ServerResponse:
    """A response, with the three members that authlib reads; `repr` does not show the body."""

    provider: str
    status_code: int
    body: bytes = field(repr=False)
    retry_after: timedelta | None

    def json(self) -> Any:
        """The body as JSON. Raises ValueError, also for nesting at which `json.loads` overflows."""
        return orjson.loads(self.body)

    def raise_for_status(self) -> None:
        """Raise `ProviderDown` unless the status is 200."""
        if self.status_code != 200:
            text = f"{self.provider} answered {self.status_code}"
            raise ProviderDown(text, retry_after=self.retry_after)


async def send(
    http: ClientSession, provider: str, method: str, url: str, *, timeout: float, **request: Any
) -> ServerResponse:
    """One call of at most `timeout` seconds, with aiohttp's arguments of a `request`.

    Raises `ProviderDown` without a whole response.
    """
    request |= {"timeout": ClientTimeout(total=timeout), "allow_redirects": False}
    try:
        async with http.request(method, url, **request) as response:
            retry_after = _seconds(response.headers.get("Retry-After"))
            body = await _read(response.content)
            return ServerResponse(provider, response.status, body, retry_after)
    except (ClientError, TimeoutError, OSError) as error:
        raise ProviderDown(f"{provider} did not answer: {type(error).__name__}") from error


async def _read(content: StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(_MAX_RESPONSE):
        body += chunk
        if len(body) > _MAX_RESPONSE:
            raise ClientPayloadError("the response is longer than 64 KiB")
    return bytes(body)


def _seconds(text: str | None) -> timedelta | None:
    """The value of `Retry-After`: at most nine digits, which a timedelta can hold."""
    if text and text.isascii() and text.isdigit() and len(text) < 10:
        return timedelta(seconds=int(text))
    return None
