"""An HTTP client for tests: requests with an API key, responses as status, body and headers."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, ClientTimeout


@dataclass(frozen=True)
class Response:
    """The response to a request: status, body (decoded if it is JSON) and headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def content(self) -> Any:
        """The body without its trace id, which differs in every response."""
        if not isinstance(self.body, dict):
            return self.body
        return {name: value for name, value in self.body.items() if name != "traceId"}


class Client:
    """Sends requests with one API key: `async with Client(base_url, key) as send: await send("GET", "/…")`."""

    def __init__(self, base_url: str, api_key: str | None = None, *, version: str = "v3") -> None:
        self._base_url = base_url
        self._headers = {"Version": version}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"

    async def __aenter__(self) -> Self:
        self._http = ClientSession(self._base_url, timeout=ClientTimeout(total=20))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Response:
        """Send a request with the body `json`, or with `data` unencoded; redirects are not followed."""
        sent = {**self._headers, **(headers or {})}
        if data is not None:
            sent = {"Content-Type": "application/json", **sent}
        async with self._http.request(
            method, path, json=json, data=data, params=query, headers=sent, allow_redirects=False
        ) as response:
            is_json = response.content_type == "application/json"
            content = await (response.json() if is_json else response.text())
            return Response(response.status, content, response.headers.copy())
