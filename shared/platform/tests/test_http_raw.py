"""Bytes on the wire that are no HTTP, or HTTP at its edges: answered or closed in time, never a crash."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator

import pytest
from shop import Shop, opened

from hoop_platform.http import parse, server

HEAD = "POST /open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LAMP = b'{"name":"Lamp"}'
QUIET = 1.5
SHAPE = {"statusCode", "message", "error", "code", "details", "traceId"}


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with opened() as found:
        yield found


async def talk(shop: Shop, *pieces: bytes, pause: float = 0.0, half_close: bool = False) -> bytes:
    """Send the pieces; everything that comes back until the server closes, or is quiet for long."""
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    said = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        if half_close:
            writer.write_eof()
        while more := await asyncio.wait_for(reader.read(65536), QUIET):
            said += more
    except (TimeoutError, ConnectionError):
        return said
    finally:
        writer.close()
    return said


def answers(said: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Status, headers and body of each response, in order."""
    found = []
    while said:
        head, _, rest = said.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", 0))
        found.append((int(first.split()[1]), headers, rest[:length]))
        said = rest[length:]
    return found


def request(head: str = HEAD, body: bytes = LAMP, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"{head}Content-Length: {size}\r\n\r\n".encode() + body


async def check_400(shop: Shop, *pieces: bytes) -> None:
    await check_refused(shop, *pieces, status=400)


async def check_refused(shop: Shop, *pieces: bytes, status: int) -> None:
    said = answers(await talk(shop, *pieces, pause=0.1))
    found, headers, body = said[-1]
    assert found == status, said
    assert json.loads(body).keys() == SHAPE
    assert len(headers["x-trace-id"]) == 32
    assert headers["server"] == "hoop"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x00" * 64,
        b"GET / HTTP/9.9\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, bork\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:32]),
)
async def test_what_is_no_request_is_answered_400_and_closed(shop: Shop, raw: bytes) -> None:
    await check_400(shop, raw)


async def test_our_log_says_nothing_of_them(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """They are not our errors, and they may hold secrets that went astray."""
    await talk(shop, b"GET / HTTP/1.1\r\nAuthorization: canary\r\nno colon\r\n\r\n")
    await talk(shop, request(body=b'{"name": "canary"'))
    assert caplog.text == ""


async def test_a_path_that_begins_with_two_slashes(shop: Shop) -> None:
    [(status, _, _)] = answers(await talk(shop, b"GET //things HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert status in (400, 404)


async def test_a_hundred_requests_at_once_are_answered_in_their_order(shop: Shop) -> None:
    sent = b"".join(request(body=b'{"name":"x","count":%d}' % n) for n in range(100))
    said = answers(await talk(shop, sent))
    assert [status for status, _, _ in said] == [200] * 100
    assert [json.loads(body)["thing"]["count"] for _, _, body in said] == [*range(100)]


async def test_a_hundred_thousand_small_chunks_are_one_body(shop: Shop) -> None:
    """It is read as what it is, within a second, whatever it is cut into."""
    body = b'{"name":"x"' + b" " * 99_988 + b"}"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    begun = asyncio.get_running_loop().time()
    head = f"{HEAD}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
    [(status, _, _)] = answers(await talk(shop, head + chunks))
    assert status == 200
    assert asyncio.get_running_loop().time() - begun < 3
    assert shop.longest_hold < 0.3


@pytest.mark.parametrize("chunks", [b"zz\r\nx\r\n0\r\n\r\n", b"5\r\nab\r\n0\r\n\r\n", b"-1\r\n"])
async def test_broken_chunks_are_400(
    shop: Shop, chunks: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once when they come with the head; else as a body that does not arrive."""
    monkeypatch.setattr(parse, "BODY_SECONDS", 0.4)
    head = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
    await check_400(shop, head + chunks)
    await check_refused(shop, head, chunks, status=408)


async def test_a_body_longer_than_announced(shop: Shop) -> None:
    """The announced part is the body; what follows would be the next request, and is none."""
    await check_400(shop, request(), b" and more")
    assert [thing.name for thing in shop.sold] == ["Lamp"]
    await check_400(shop, request() + b" and more")  # at once: then neither is taken


async def test_a_body_shorter_than_announced(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, for a while; then the answer is 408, and the connection is closed."""
    monkeypatch.setattr(parse, "BODY_SECONDS", 0.3)
    await check_refused(shop, request(length=500), status=408)
    assert shop.sold == []


async def test_a_body_that_ends_too_soon(shop: Shop) -> None:
    """The client hangs up in the middle: nobody is left to answer, and nothing was done."""
    said = await talk(shop, request(length=500), half_close=True)
    assert said == b"" or answers(said)[0][0] == 400
    assert shop.sold == []


async def test_a_head_that_trickles_is_cut_off(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps no connection open."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    begun = asyncio.get_running_loop().time()
    said = await talk(shop, *[bytes([byte]) for byte in HEAD.encode()], pause=0.05)
    assert said == b""
    assert asyncio.get_running_loop().time() - begun < 3


async def test_a_slow_head_that_comes_in_time_is_served(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so is the next request on the same connection, later than the first may take."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.4)
    whole = request()
    said = answers(await talk(shop, whole[:30], whole[30:], whole[:50], whole[50:], pause=0.25))
    assert [status for status, _, _ in said] == [200, 200]


async def test_a_connection_that_says_nothing_is_closed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.3)
    async with opened() as other:
        begun = asyncio.get_running_loop().time()
        assert await talk(other) == b""
        assert asyncio.get_running_loop().time() - begun < 2


async def test_a_compressed_body_is_not_unpacked(shop: Shop) -> None:
    """Ten thousand bytes that would be ten million."""
    head = HEAD + "Content-Encoding: gzip\r\nConnection: close\r\n"
    bomb = gzip.compress(b" " * 10_000_000)
    [(status, _, _)] = answers(await talk(shop, request(head, bomb)))
    assert status == 415


async def test_a_body_without_end_is_413_and_cut_off(shop: Shop) -> None:
    head = f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode()
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    said = answers(await talk(shop, head, *[chunk] * 20))
    assert said[0][0] == 413


async def test_expectations_are_met(shop: Shop) -> None:
    said = await talk(shop, request(HEAD + "Expect: 100-continue\r\nConnection: close\r\n"))
    assert said.startswith(b"HTTP/1.1 100")
    assert b"HTTP/1.1 200" in said


async def test_expectations_that_nobody_has_are_passed_over(shop: Shop) -> None:
    head = HEAD + "Expect: the moon\r\nConnection: close\r\n"
    [(status, _, _)] = answers(await talk(shop, request(head)))
    assert status == 200


async def test_an_upgrade_is_declined(shop: Shop) -> None:
    head = HEAD + "Connection: Upgrade, close\r\nUpgrade: websocket\r\n"
    said = await talk(shop, request(head))
    assert re.match(rb"HTTP/1.1 [24]00", said)
