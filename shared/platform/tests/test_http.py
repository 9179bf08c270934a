"""Requests as programs send them, right and wrong: each is answered in one shape, and never with a 500."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shop import READ, WRITE, Shop, opened

from hoop_platform.ids import new_id
from local.testing.client import Client, Response

SHAPE = {"statusCode", "message", "error", "code", "details", "traceId"}
GOOD = {"name": "Lamp"}


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async with opened() as found:
        yield found


@pytest.fixture
async def ask(shop: Shop) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{shop.port}", shop.key()) as client:
        yield client


def check_refused(answer: Response, status: int, code: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.body.keys() >= SHAPE
    assert answer.body["statusCode"] == status
    assert isinstance(answer.body["message"], list if status == 422 else str)
    assert answer.body["traceId"] == answer.headers["X-Trace-Id"]


async def post_raw(ask: Client, raw: bytes, **headers: str) -> Response:
    body: Any = io.BytesIO(raw)  # the client warns of large bytes
    return await ask("POST", "/things", data=body, headers=headers)


@pytest.mark.parametrize("path", ["/things", "/things/"])
async def test_with_and_without_a_slash(ask: Client, path: str) -> None:
    assert (await ask("GET", path)).status == 200
    assert (await ask("POST", path, GOOD)).status == 200


async def test_an_answer_carries_its_trace_in_body_and_header(ask: Client) -> None:
    answer = await ask("POST", "/things", GOOD)
    assert answer.body["thing"]["name"] == "Lamp"
    assert len(answer.body["traceId"]) == 32
    assert answer.body["traceId"] == answer.headers["X-Trace-Id"] != "0" * 32
    other = await ask("GET", "/things/all")
    assert other.body == [{"id": 1}]
    assert other.headers["X-Trace-Id"] != answer.headers["X-Trace-Id"]


async def test_an_answer_that_is_text_already_carries_its_trace_as_well(ask: Client) -> None:
    """The document comes through byte by byte; the trace is its last member, and headers are sent."""
    for name, document in (("full", {"a": [1]}), ("empty", {})):
        answer = await ask("GET", f"/ready/{name}")
        trace = answer.headers["X-Trace-Id"]
        assert answer.body == {**document, "traceId": trace}
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["X-Content-Of"] == "bytes"


async def test_a_trace_that_came_along_goes_on(ask: Client) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    said = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    assert (await ask("GET", "/page", headers=said)).headers["X-Trace-Id"] == trace
    for wrong in ("", "00-0-0-0", "\u00ff" * 99, f"00-{trace}-0000000000000000-01"):
        answer = await ask("GET", "/page", headers={"traceparent": wrong})
        assert answer.status == 200


async def test_pages_and_pictures_carry_it_as_well(ask: Client) -> None:
    page = await ask("GET", "/page")
    assert page.body == "<h1>\u2603</h1>"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "public"
    picture = await ask("GET", "/picture")
    assert picture.headers["Content-Type"] == "image/png"
    for answer in (page, picture):
        assert len(answer.headers["X-Trace-Id"]) == 32
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Server"] == "hoop"


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/things;x=1", "/things/all.", "/things/a/b", "/Things"],
)
async def test_unknown_paths(ask: Client, path: str) -> None:
    check_refused(await ask("GET", path), 404, "not_found")


@pytest.mark.parametrize(
    "thing",
    ["1", "..%2fx", "%7BnoteId%7D", "%E2%98%83", "x" * 9000, "1%27;drop", "%20", "%FF", "a" * 26],
)
async def test_what_is_no_id_is_unknown(ask: Client, thing: str) -> None:
    check_refused(await ask("GET", f"/things/{thing}"), 404, "not_found")


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "OPTIONS", "PUT", "PROPFIND"])
async def test_methods_that_the_path_does_not_know(ask: Client, method: str) -> None:
    answer = await ask(method, "/things")
    check_refused(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST"


async def test_a_method_in_a_header_is_nothing(ask: Client, shop: Shop) -> None:
    path = f"/things/{new_id()}"
    answer = await ask("POST", path, {}, headers={"X-HTTP-Method-Override": "DELETE"})
    check_refused(answer, 405, "method_not_allowed")


DEEP = 100_000


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{} {}",
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"name":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"name":' + b"[" * 1020 + b"]" * 1020 + b"}",
        b'{"count":' + b"9" * 5000 + b"}",
        b'{"weight":NaN}',
        b'{"weight":-Infinity}',
        b'{"weight":1e999}',
        b'{"name":"\xff"}',
        b'{"name":"\xed\xa0\x80"}',
        rb'{"name":"\ud800"}',
        b'\xef\xbb\xbf{"name":"x"}',
        '{"name":"x"}'.encode("utf-16"),
        b'{"name":"a\x00b"}',
        b"{'name':'x'}",
        b'{"name":"x",}',
    ],
    ids=lambda raw: repr(raw[:20]),
)
async def test_what_cannot_be_read_is_400(ask: Client, shop: Shop, raw: bytes) -> None:
    check_refused(await post_raw(ask, raw), 400, "malformed")
    assert shop.sold == []


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"[]", ""),
        (b"null", ""),
        (b'"name"', ""),
        (b"{}", "name"),
        (b'{"name":null}', "name"),
        (b'{"name":7}', "name"),
        (b'{"name":["x"]}', "name"),
        (b'{"name":"' + b"x" * 201 + b'"}', "name"),
        (rb'{"name":"a\u0000b"}', "name"),
        (rb'{"name":"a\r\nBcc: b"}', "name"),
        (rb'{"name":"a\u2028b"}', "name"),
        (rb'{"name":"x","notes":{"a":["","b\u0000"]}}', "notes.a.1"),
        (rb'{"name":"x","notes":{"a\u0000":[]}}', "notes"),
        (b'{"name":"x","count":"7"}', "count"),
        (b'{"name":"x","count":7.5}', "count"),
        (b'{"name":"x","count":true}', "count"),
        (b'{"name":"x","count":-1}', "count"),
        (b'{"name":"x","count":' + b"9" * 300 + b"}", "count"),
        (b'{"name":"x","sold":"yes"}', "sold"),
        (b'{"name":"x","sold":1}', "sold"),
        (b'{"name":"x","colour":"red"}', "colour"),
        (b'{"name":"x","made_at":"2027-03-01T09:00:00Z"}', None),
        (b'{"name":"x","createdAt":"2027-03-01T09:00:00"}', "createdAt"),
        (b'{"name":"x","createdAt":"2027-03-01"}', "createdAt"),
        (b'{"name":"x","createdAt":"2027-02-30T09:00:00Z"}', "createdAt"),
        (b'{"name":"x","createdAt":"2027-03-01T09:00:00+25:00"}', "createdAt"),
        (b'{"name":"x","createdAt":"2027-03-01T09:00:00-00:00"}', "createdAt"),
        (b'{"name":"x","createdAt":"9999-12-31T23:59:59-14:00"}', "createdAt"),
        (b'{"name":"x","createdAt":"0001-01-01T00:00:00+14:00"}', "createdAt"),
        (b'{"name":"x","createdAt":1735689600}', "createdAt"),
        (b'{"name":"x","createdAt":"1735689600"}', "createdAt"),
        (b'{"name":"x","createdAt":"infinity"}', "createdAt"),
        (b'{"name":"x","parts":[{"sort":"up"}]}', "parts.0.sort"),
        (b'{"name":"x","parts":[{},{}]}', "parts.0.sort"),
        (b'{"name":"x","parts":{}}', "parts"),
        (b'{"name":"x","parts":[' + b"1," * 15000 + b"1]}", "parts"),
    ],
    ids=lambda value: repr(value[:44]) if isinstance(value, bytes) else "",
)
async def test_what_breaks_a_rule_is_422_and_names_the_field(
    ask: Client, shop: Shop, raw: bytes, path: str | None
) -> None:
    answer = await post_raw(ask, raw)
    if path is None:
        assert answer.status in (200, 422)
        return
    check_refused(answer, 422, "invalid")
    assert answer.body["details"][0]["path"] == path
    assert shop.sold == []


async def test_a_wrong_choice_lists_the_allowed_ones(ask: Client) -> None:
    answer = await post_raw(ask, b'{"name":"x","parts":[{"sort":"up"}]}')
    assert answer.body["details"][0]["allowed"] == ["left", "right"]
    assert answer.body["message"] == ["parts.0.sort: must be one of left, right"]


async def test_nothing_of_what_was_sent_comes_back(ask: Client) -> None:
    """Neither the values of wrong fields nor an endless name of one."""
    answer = await post_raw(ask, b'{"name":7,"count":"canary","' + b"k" * 900_000 + b'":"canary"}')
    check_refused(answer, 422, "invalid")
    assert "canary" not in str(answer.body)
    assert len(str(answer.body)) < 2000


async def test_too_much_is_413(ask: Client, shop: Shop) -> None:
    """More than a MiB, or more values than anybody means."""
    for raw in (b'"' + b"x" * 1_048_577 + b'"', b'{"parts":[' + b"[]," * 100_000 + b"[]]}"):
        check_refused(await post_raw(ask, raw), 413, "too_large")
    just_fits = b'{"name":"x"' + b" " * (1_048_576 - 12) + b"}"
    assert (await post_raw(ask, just_fits)).status == 200


@pytest.mark.parametrize(
    "said",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {"Content-Type": "application/json; charset=foo"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/jsonx"},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "br"},
        {"Content-Encoding": "bork"},
    ],
    ids=str,
)
async def test_what_is_not_plain_json_is_415(ask: Client, said: dict[str, str]) -> None:
    check_refused(await post_raw(ask, b'{"name":"x"}', **said), 415, "unsupported_media")


async def test_a_body_may_be_an_array(ask: Client) -> None:
    """Of models, each checked as it would be alone; anything else is not taken for one."""
    assert (await ask("POST", "/things/many", [GOOD, {"name": "Sofa"}])).body == ["Lamp", "Sofa"]
    assert (await ask("POST", "/things/many", [])).body == []
    for wrong, path in (([GOOD, {"name": 1}], "1.name"), (GOOD, ""), (["x"], "0")):
        answer = await ask("POST", "/things/many", wrong)
        check_refused(answer, 422, "invalid")
        assert answer.body["details"][0]["path"] == path


@pytest.mark.parametrize(
    ("said", "version"),
    [('"3"', 3), ("3", 3), ("*", None), (None, None), ('"x"', -1), ('W/"3"', -1), ('""', -1)],
)
async def test_the_version_that_a_client_has_seen(
    ask: Client, said: str | None, version: int | None
) -> None:
    headers = {} if said is None else {"If-Match": said}
    assert (await ask("GET", "/version", headers=headers)).body["ifMatch"] == version


@pytest.mark.parametrize("said", ["", "x", '"3', '"1", "2"', "3.5", "-1", "٣"])
async def test_what_is_no_version_at_all_is_400(ask: Client, said: str) -> None:
    check_refused(await ask("GET", "/version", headers={"If-Match": said}), 400, "malformed")


async def test_a_backslash_before_u0000_is_text(ask: Client) -> None:
    """An escaped backslash and five characters: no NUL."""
    answer = await post_raw(ask, rb'{"name":"x","notes":{"a":["\\u0000"]}}')
    assert answer.body["thing"]["notes"] == {"a": ["\\u0000"]}


@pytest.mark.parametrize("said", ["application/json", 'APPLICATION/JSON ; Charset="UTF-8"'])
async def test_media_types_that_are_json(ask: Client, said: str) -> None:
    assert (await post_raw(ask, b'{"name":"x"}', **{"Content-Type": said})).status == 200


async def test_a_body_where_none_is_expected_is_passed_over(ask: Client) -> None:
    """Clients send `{}`, nothing at all, or an empty body with a media type."""
    for raw in (b"{}", b"", b"{"):
        answer = await ask("DELETE", f"/things/{new_id()}", data=raw)
        assert answer.status == 201


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("", {"limit": 20, "userIds": None, "tags": []}),
        ("limit=7&unknown=1", {"limit": 7, "userIds": None, "tags": []}),
        ("userIds=a&userIds=b", {"limit": 20, "userIds": ["a", "b"], "tags": []}),
        ("userIds[]=a&userIds[]=b", {"limit": 20, "userIds": ["a", "b"], "tags": []}),
        ("userIds%5B%5D=a", {"limit": 20, "userIds": ["a"], "tags": []}),
        ("tags=\u2603", {"limit": 20, "userIds": None, "tags": ["\u2603"]}),
    ],
)
async def test_queries(ask: Client, asked: str, found: dict[str, Any]) -> None:
    assert (await ask("GET", f"/things?{asked}")).body["asked"] == found


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("limit=0", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1e2", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=1&limit=2", "limit"),
        ("tags=a%00b", "tags"),
        ("tags=a&tags=b&tags=c&tags=d", "tags"),
    ],
)
async def test_wrong_queries(ask: Client, asked: str, path: str) -> None:
    answer = await ask("GET", f"/things?{asked}")
    check_refused(answer, 422, "invalid")
    assert answer.body["details"][0]["path"] == path


async def test_a_path_that_is_no_text_is_400(ask: Client) -> None:
    check_refused(await ask("DELETE", "/things/a%00b"), 400, "malformed")


async def test_the_version_header(ask: Client) -> None:
    for good in ("2021-04-15", "2021-07-28", "2023-02-21", "v3"):
        assert (await ask("GET", "/things", headers={"Version": good})).status == 200
    for wrong in ("", "v9", "2021-07-28, v3", "\u00ff"):
        answer = await ask("GET", "/things", headers={"Version": wrong})
        check_refused(answer, 401, "version_unknown")
        assert answer.body["message"] == "version header is invalid"


async def test_without_a_version(shop: Shop) -> None:
    async with Client(f"http://127.0.0.1:{shop.port}", shop.key()) as ask:
        ask._headers.pop("Version")
        answer = await ask("GET", "/things")
    check_refused(answer, 401, "version_required")
    assert answer.body["message"] == "version header was not found."


async def test_failures_of_our_own_say_nothing_of_their_cause(ask: Client) -> None:
    broken = await ask("GET", "/fail/bug")
    check_refused(broken, 500, "internal")
    for how in ("gone", "late"):
        away = await ask("GET", f"/fail/{how}")
        check_refused(away, 503, "unavailable")
        assert away.headers["Retry-After"] == "1"
        assert "secret" not in str(away.body) + str(broken.body)


async def test_a_refusal_brings_its_extras(ask: Client) -> None:
    answer = await ask("GET", "/fail/conflict")
    check_refused(answer, 409, "conflict")
    assert answer.body["alternatives"] == [1]
    assert answer.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("scope", "reads", "writes"),
    [(READ, 200, 403), (WRITE, 200, 200), ("calendars.write", 403, 403)],
)
async def test_scopes(shop: Shop, scope: str, reads: int, writes: int) -> None:
    async with Client(f"http://127.0.0.1:{shop.port}", shop.key(scope)) as ask:
        read, written = await ask("GET", "/things"), await ask("POST", "/things", GOOD)
    assert (read.status, written.status) == (reads, writes)
    if writes == 403:
        check_refused(written, 403, "scope_missing")
        assert WRITE in written.body["message"]


async def test_a_read_only_account_reads(shop: Shop) -> None:
    async with Client(f"http://127.0.0.1:{shop.port}", shop.key(status="read_only")) as ask:
        assert (await ask("GET", "/things")).status == 200
        check_refused(await ask("POST", "/things", GOOD), 403, "account_read_only")


async def test_health_and_metrics(ask: Client) -> None:
    await ask("GET", "/things")
    assert (await ask("GET", "/health/live")).body == {"status": "live"}
    ready = await ask("GET", "/health/ready")
    assert (ready.status, ready.body["checks"]) == (200, {"open": True})
    assert 'route="/things/"' in (await ask("GET", "/metrics")).body


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(raw=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
async def test_whatever_is_sent_is_the_sender_s_fault(ask: Client, raw: bytes) -> None:
    answer = await post_raw(ask, raw)
    assert answer.status in (200, 400, 413, 422)
    assert answer.body["traceId"]


async def test_the_loop_is_never_held_for_long(ask: Client, shop: Shop) -> None:
    """The worst that a MiB may hold: others wait for a fraction of a second at most."""
    worst = [
        b'{"name":"x","parts":[' + b'{"sort":"left"},' * 9_000 + b"1]}",
        b"{" + b",".join(b'"k%d":1' % n for n in range(19_000)) + b"}",
        b'{"parts":[' + b"[]," * 300_000 + b"[]]}",
        b'{"name":"' + rb"\u0000" * 170_000 + b'"}',
        b'{"name":"' + "\u2028".encode() * 340_000 + b'"}',
        b'{"name":' + b" " * 1_000_000 + b"7}",
        b"[" * 1_000_000,
    ]
    for raw in worst:
        assert (await post_raw(ask, raw)).status in (400, 413, 422)
    assert shop.longest_hold < 0.2
