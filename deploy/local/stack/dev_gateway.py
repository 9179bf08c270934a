"""The gateway of `./hoop up --split`: one address for all services, with the rules of nginx.conf.

`python -m local.stack.dev_gateway PORT accounts=20001 booking=20002 …`
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from local.servers.ports import LOOPBACK
from local.stack.routing import DEFAULT, rules
from local.stack.topology import url

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
        "content-length",
    }
)
CLIENT = web.AppKey("client", ClientSession)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(upstreams: Mapping[str, int]) -> web.Application:
    """The proxy: every path is forwarded to the service that owns it. `upstreams`: its ports."""
    app = web.Application(client_max_size=2 * 1_048_576)
    app.cleanup_ctx.append(_client)
    forward = {name: _forwarder(url(port)) for name, port in upstreams.items()}
    for rule in rules():
        # every method: the owner itself answers 405
        for path in (rule.path, rule.path + "/"):
            app.router.add_route("*", path, forward[rule.owner])
    # every other path, those with line breaks included
    app.router.add_route("*", "/{path:(?s:.*)}", forward[DEFAULT])
    return app


async def _client(app: web.Application):  # type: ignore[no-untyped-def] # aiohttp's type is spelled longer than this function
    connector = TCPConnector(limit=0, keepalive_timeout=30)
    timeout = ClientTimeout(total=30, connect=3)
    async with ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as app[
        CLIENT
    ]:
        yield


def _forwarder(base: str) -> Handler:
    async def forward(request: web.Request) -> web.StreamResponse:
        try:
            return await _forward(request, base)
        except (ClientError, TimeoutError):
            body = {
                "statusCode": 503,
                "message": "The service cannot be reached right now.",
                "error": "Service Unavailable",
                "code": "unavailable",
                "details": [],
            }
            return web.json_response(body, status=503, headers={"Retry-After": "1"})

    return forward


async def _forward(request: web.Request, base: str) -> web.StreamResponse:
    headers = [(n, v) for n, v in request.headers.items() if n.lower() not in HOP_BY_HOP]
    headers.append(("X-Forwarded-For", request.remote or ""))
    async with request.app[CLIENT].request(
        request.method,
        base + request.raw_path,
        headers=headers,
        data=await request.read() if request.can_read_body else None,
        allow_redirects=False,
    ) as upstream:
        kept = [(n, v) for n, v in upstream.headers.items() if n.lower() not in HOP_BY_HOP]
        response = web.Response(status=upstream.status, body=await upstream.read())
        response.headers.clear()
        response.headers.extend(kept)
        return response


async def _serve(port: int, upstreams: Mapping[str, int]) -> None:
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    runner = web.AppRunner(
        application(upstreams), access_log=None, max_line_size=16_384, auto_decompress=False
    )
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, port, backlog=1024).start()
    await stop.wait()
    await runner.cleanup()


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    port, *pairs = (argument for argument in sys.argv[1:] if not argument.startswith("/"))
    upstreams = dict(pair.split("=") for pair in pairs)
    asyncio.run(_serve(int(port), {name: int(number) for name, number in upstreams.items()}))


if __name__ == "__main__":
    main()
