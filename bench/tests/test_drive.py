"""The load generator against a server that answers in pieces."""

import json
import sys
from collections.abc import AsyncIterator
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

    app = web.Application()
    app.router.add_get("/{status}", answer)
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
