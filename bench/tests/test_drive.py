"""The load generator against a server that answers in pieces."""

import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

sys.path.insert(0, str(Path(__file__).parents[1]))

from scorecard.alone import Server
from scorecard.asking import burst
from scorecard.plan import Broken

BODY = json.dumps({"slots": ["2027-03-01T09:00:00-05:00"] * 10_000}).encode()  # more than one piece


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async def answer(request: web.Request) -> web.Response:
        status = int(request.match_info["status"])
        return web.Response(body=BODY, status=status, content_type="application/json")

    bodies = set[bytes]()

    async def taken_twice(request: web.Request) -> web.Response:
        body = await request.read()
        if body in bodies:
            return web.json_response({"statusCode": 400, "code": "slot_unavailable"}, status=400)
        bodies.add(body)
        return web.json_response({"said": body.decode()})

    app = web.Application()
    app.router.add_get("/{status}", answer)
    app.router.add_post("/bodies", taken_twice)
    async with TestServer(app) as running:
        assert running.port is not None
        yield Server(running.port, 0)


def _requests(*statuses: int) -> list[str]:
    return [f"GET /{status} HTTP/1.1\r\nHost: here\r\n\r\n" for status in statuses]


async def test_each_request_is_asked_once(server: Server) -> None:
    """Seven requests over three connections: seven answers, however many pieces each came in."""
    found = await burst(server, _requests(*[200] * 7), connections=3, seconds=10, once=True)
    assert len(found.ms) == 7
    assert min(found.ms) > 0


async def test_requests_go_round_until_the_time_is_over(server: Server) -> None:
    found = await burst(server, _requests(200), connections=2, seconds=0.3)
    assert len(found.ms) > 2
    assert 0.3 <= found.seconds < 5


async def test_a_wrong_answer_is_no_figure(server: Server) -> None:
    """One refusal among the answers, and nothing of the burst counts."""
    with pytest.raises(Broken, match="503"):
        await burst(server, _requests(200, 503, 200), connections=1, seconds=10, once=True)


def _bodies(*bodies: str) -> list[str]:
    return [
        f"POST /bodies HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        for body in bodies
    ]


async def test_a_refusal_is_told_by_its_code(server: Server) -> None:
    """Each body arrives as it was made; what was expected to be refused is a figure of its own."""
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


async def test_a_refusal_that_nobody_expects_is_no_figure(server: Server) -> None:
    with pytest.raises(Broken, match="slot_unavailable"):
        await burst(server, _bodies("one", "one"), connections=1, seconds=10, once=True)


async def test_what_a_server_still_owes_is_part_of_its_cost(server: Server) -> None:
    """CPU time is read only after `settled` has returned, of everybody who works for the answers."""
    asked = []

    async def settled() -> None:
        asked.append(1)

    mine = replace(server, pid=os.getpid(), beside={"driver": os.getpid()})
    found = await burst(mine, _requests(200), connections=1, seconds=0.2, settled=settled)
    assert asked == [1]
    assert found.cpu_of.keys() == {"server", "driver"}
    assert found.cpu * len(found.ms) == pytest.approx(2 * found.cpu_of["server"])
