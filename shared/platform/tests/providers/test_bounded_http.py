"""Calls to a provider have bounds, and each is made once."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import RawTestServer, unused_port
from hypothesis import given
from hypothesis import strategies as st

from hoop_platform.providers.bounded_http import (
    LONGEST_RETRY_AFTER,
    parse_retry_after,
    send,
    send_to_authorization_server,
)
from hoop_platform.providers.errors import OutcomeUnknown, ProviderDown, Unreachable

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("30", timedelta(seconds=30)),
        ("Mon, 01 Mar 2027 12:01:00 GMT", timedelta(minutes=1)),
        ("2027-03-01T12:00:07Z", timedelta(seconds=7)),
        ("Mon, 01 Mar 2027 11:00:00 GMT", None),
        ("99999999", LONGEST_RETRY_AFTER),
        ("9" * 5000, LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("0", None),
        ("soon", None),
        ("١٢", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(text, wait):
    """Seconds or a date; None for anything else, and for a date in the past."""
    assert parse_retry_after(text, now=NOON) == wait


@given(st.text(max_size=40))
def test_any_text_is_a_wait_within_bounds_or_none(text):
    wait = parse_retry_after(text, now=NOON)
    assert wait is None or timedelta() < wait <= LONGEST_RETRY_AFTER


async def test_a_call_whose_connection_breaks_is_sent_once():
    """A DELETE too, also on a connection that served before: aiohttp would repeat it unseen."""
    seen = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append(request.method)
        if request.method == "DELETE":
            request.transport.abort()
        return web.Response()

    async with RawTestServer(answer) as server, ClientSession() as http:
        url = str(server.make_url("/"))
        await send(http, "p", "GET", url, timeout=5)
        with pytest.raises(OutcomeUnknown):
            await send(http, "p", "DELETE", url, timeout=5)

    assert seen == ["GET", "DELETE"]


async def test_a_response_has_bounds():
    """Of size, and no redirect is followed: the token stays with the host it is for."""

    async def answer(request: web.BaseRequest) -> web.Response:
        size = int(request.query["size"])
        return web.Response(status=302, headers={"Location": "/away"}, body=b"x" * size)

    async with RawTestServer(answer) as server, ClientSession() as http:
        url = server.make_url("/")
        found = await send(
            http, "p", "GET", str(url.with_query(size=1000)), timeout=5, largest=1000
        )
        with pytest.raises(OutcomeUnknown, match="did not answer"):
            await send(http, "p", "GET", str(url.with_query(size=1001)), timeout=5, largest=1000)

    assert (found.status_code, len(found.body)) == (302, 1000)
    assert "xxx" not in repr(found)


async def test_a_call_that_was_never_sent_had_no_effect():
    async with ClientSession() as http:
        url = f"http://127.0.0.1:{unused_port()}/"
        with pytest.raises(Unreachable):
            await send(http, "p", "POST", url, timeout=5)
        with pytest.raises(ProviderDown):
            await send_to_authorization_server(http, "p", "POST", url, timeout=5)
