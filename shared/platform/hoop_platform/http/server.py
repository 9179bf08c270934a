"""The HTTP server: aiohttp's, which in our hands answers what it cannot read as everything else."""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from hoop_platform.errors import Malformed
from hoop_platform.http.responses import COMMON_HEADERS, error_response
from hoop_platform.telemetry import span

HEAD_SECONDS = 10.0
"""So long a request's first line and headers may take, from their first byte on."""
IDLE_SECONDS = 75.0
"""So long a connection is kept for the next request; longer than the proxies before us do."""


async def listen(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve the application there; port 0 picks a free one. End it with `cleanup`."""
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
    """One connection. A head that does not end closes it; a head that is none is answered 400."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        read = self._request_count
        super().data_received(data)
        idle = self._waiter is not None and not self._waiter.done()
        if self._request_count > read or not idle:
            self._in_time()
        elif self._late is None:
            self._late = self._loop.call_later(HEAD_SECONDS, self.force_close)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def connection_lost(self, exc: BaseException | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 -- what is wrong with it is no news to its sender
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp itself could not cope with: in our own shape, and without its log line."""
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
        made = await super()._make_server()
        made.__class__ = _Server  # aiohttp has no place to say so
        return made
