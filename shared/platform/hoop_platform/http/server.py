"""aiohttp's server, with error responses of our own shape for unreadable requests, and timeouts."""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from hoop_platform.errors import Malformed
from hoop_platform.http.responses import COMMON_HEADERS, error_response
from hoop_platform.telemetry import span

HEAD_SECONDS = 10.0
"""How long a request's head may take from its first byte on."""
IDLE_SECONDS = 75.0
"""How long an idle connection is kept; longer than proxies before us keep it."""


async def listen(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve the application; port 0 picks a free one. `cleanup` of the result stops it."""
    runner = _Runner(
        app,
        access_log=None,
        shutdown_timeout=5,
        max_line_size=16_384,
        keepalive_timeout=IDLE_SECONDS,
        lingering_time=2,
        auto_decompress=False,  # compressed bodies are refused, not unpacked
    )
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=1024).start()
    return runner


class _Connection(RequestHandler):
    """One connection. A head that is too slow closes it; an unreadable one gets 400."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        read = self._request_count
        super().data_received(data)
        idle = self._waiter is not None and not self._waiter.done()
        if self._request_count > read or not idle:
            self._cancel_timer()
        elif self._head_timer is None:
            self._head_timer = self._loop.call_later(HEAD_SECONDS, self.force_close)

    def _cancel_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 -- aiohttp's text is not for clients
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to what aiohttp itself could not read, without aiohttp's log line."""
        with span("unreadable request", kind="server"):
            error = Malformed() if status < web.HTTPInternalServerError.status_code else exc
            response = error_response(
                error if isinstance(error, Exception) else RuntimeError(message)
            )
        response.headers.update(COMMON_HEADERS)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        """Aiohttp's server for the application, with connections of our own class."""
        server = await super()._make_server()
        return _Server(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            loop=server._loop,  # noqa: SLF001 -- there is no public way
            **server._kwargs,  # noqa: SLF001 -- as above
        )
