"""The baseline of an HTTP response, as a program: aiohttp on uvloop, one path parameter, no work."""

import sys

import uvloop
from aiohttp import web


async def _respond(request: web.Request) -> web.Response:
    assert request.match_info["calendarId"]
    return web.Response(body=b"{}", content_type="application/json")


def _main(port: int) -> None:
    app = web.Application()
    app.router.add_get("/calendars/{calendarId}/free-slots", _respond)
    web.run_app(
        app, host="127.0.0.1", port=port, print=None, access_log=None, loop=uvloop.new_event_loop()
    )


if __name__ == "__main__":
    _main(int(sys.argv[1]))
