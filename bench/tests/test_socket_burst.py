"""The load generator against a server whose responses arrive in several chunks."""

import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.load.socket_burst import burst
from bench.report.findings import Broken
from bench.systems.single_service import MeasuredServer

BODY = json.dumps({"slots": ["2027-03-01T09:00:00-05:00"] * 10_000}).encode()  # more than one chunk


@pytest.fixture
async def server() -> AsyncIterator[MeasuredServer]:
    async def respond(request: web.Request) -> web.Response:
        status = int(request.match_info["status"])
        return web.Response(body=BODY, status=status, content_type="application/json")

    bodies = set[bytes]()

    async def refuse_repeated(request: web.Request) -> web.Response:
        body = await request.read()
        if body in bodies:
            return web.json_response({"statusCode": 400, "code": "slot_unavailable"}, status=400)
        bodies.add(body)
        return web.json_response({"body": body.decode()})

    app = web.Application()
    app.router.add_get("/{status}", respond)
    app.router.add_post("/bodies", refuse_repeated)
    async with TestServer(app) as running:
        assert running.port is not None
        yield MeasuredServer(running.port, 0)


def _requests(*statuses: int) -> list[str]:
    return [f"GET /{status} HTTP/1.1\r\nHost: here\r\n\r\n" for status in statuses]


async def test_each_request_is_sent_once(server: MeasuredServer) -> None:
    """Seven requests over three connections: seven responses, however many chunks each has."""
    found = await burst(server, _requests(*[200] * 7), connections=3, seconds=10, once=True)
    assert len(found.ms) == 7
    assert min(found.ms) > 0


async def test_requests_go_round_until_the_time_is_over(server: MeasuredServer) -> None:
    found = await burst(server, _requests(200), connections=2, seconds=0.3)
    assert len(found.ms) > 2
    assert 0.3 <= found.seconds < 5


async def test_a_wrong_response_is_no_figure(server: MeasuredServer) -> None:
    """One refusal among the responses, and the burst is broken."""
    with pytest.raises(Broken, match="503"):
        await burst(server, _requests(200, 503, 200), connections=1, seconds=10, once=True)


def _bodies(*bodies: str) -> list[str]:
    return [
        f"POST /bodies HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        for body in bodies
    ]


async def test_a_refusal_is_counted_by_its_code(server: MeasuredServer) -> None:
    """Each body arrives unchanged; expected refusals are counted by themselves."""
    found = await burst(
        server,
        _bodies("one", "two", "two", "three"),
        connections=1,
        seconds=10,
        once=True,
        expects={"200", "400 slot_unavailable"},
    )
    assert (found.count("200"), found.count("400 slot_unavailable")) == (3, 1)
    assert len(found.ms) == 4


async def test_an_unexpected_refusal_is_no_figure(server: MeasuredServer) -> None:
    with pytest.raises(Broken, match="slot_unavailable"):
        await burst(server, _bodies("one", "one"), connections=1, seconds=10, once=True)


async def test_the_work_after_the_responses_is_part_of_the_cost(server: MeasuredServer) -> None:
    """CPU time is read after `settle` has returned, of all processes of the server."""
    calls = []

    async def settle() -> None:
        calls.append(1)

    measured = replace(server, pid=os.getpid(), helper_pids={"driver": os.getpid()})
    found = await burst(measured, _requests(200), connections=1, seconds=0.2, settle=settle)
    assert calls == [1]
    assert found.cpu_of.keys() == {"server", "driver"}
    assert found.cpu * len(found.ms) == pytest.approx(2 * found.cpu_of["server"])
