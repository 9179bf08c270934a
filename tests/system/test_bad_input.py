"""Whatever is sent, the answer is a 4xx in one shape; nothing is stored, nothing announced, nobody waits.

Which fields there are is taken from the models of the routes, so that a new one is tried out, too.
"""

import io
import itertools
import json
from collections.abc import Mapping

import pytest
from pydantic import TypeAdapter

from hoop_platform.ids import new_id
from support.fields import holding, is_array, wrong_values
from support.offending import ROUTES, Offender, path_of

pytestmark = pytest.mark.system

WITH_BODY = [route for route in ROUTES if route.body]
BOOK = "/calendars/events/appointments"
DEEP = 100_000
MALFORMED: Mapping[str, bytes] = {
    "empty": b"",
    "an open brace": b"{",
    "two documents": b"{} {}",
    "deep arrays": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "as deep as the parser goes": b'{"title":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "deeper than any of ours": b'{"title":' + b"[" * 150 + b"]" * 150 + b"}",
    "five thousand digits": b'{"title": ' + b"9" * 5000 + b"}",
    "a number beyond floats": b'{"slotDuration": 1e999}',
    "NaN": b'{"slotDuration": NaN}',
    "Infinity": b"Infinity",
    "not UTF-8": b'{"title": "\xff"}',
    "UTF-16": '{"title": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a comment": b"{} // yes",
    "a trailing comma": b'{"title": "x",}',
    "single quotes": b"{'title': 'x'}",
    "null": b"null",
    "a number": b"7",
    "a string": b'"text"',
    "an array": b"[]",
    "NUL in a text": b'{"title": "a\\u0000b"}',
    "NUL in a name": b'{"a\\u0000b": 1}',
    "a lone surrogate": b'{"title": "\\ud800"}',
    "a lone surrogate as a name": b'{"\\udfff": 1}',
}
CORE = ("empty", "an open brace", "deep arrays", "five thousand digits", "not UTF-8", "an array")
HEADERS: Mapping[str, tuple[int, dict[str, str]]] = {
    "plain text": (415, {"Content-Type": "text/plain"}),
    "no type": (415, {"Content-Type": ""}),
    "a form": (415, {"Content-Type": "application/x-www-form-urlencoded"}),
    "XML": (415, {"Content-Type": "application/xml"}),
    "another charset": (415, {"Content-Type": "application/json; charset=utf-16"}),
    "no such charset": (415, {"Content-Type": "application/json; charset=foo"}),
    "compressed": (415, {"Content-Encoding": "br"}),
    "compressed, it says": (415, {"Content-Encoding": "gzip"}),
    "no version": (401, {"Version": ""}),
    "no such version": (401, {"Version": "2020-01-01"}),
    "no key": (401, {"Authorization": ""}),
    "another scheme": (401, {"Authorization": "Basic aG9vcDpob29w"}),
    "two tokens": (401, {"Authorization": "Bearer one two"}),
    "a long token": (401, {"Authorization": "Bearer " + "x" * 5000}),
    "no such key": (401, {"Authorization": f"Bearer hoop_{new_id()}_{new_id()}"}),
}
NO_IDS = (
    "%00",
    "%2F",
    "..%2f",
    "%7BcalendarId%7D",
    "%F0%9F%98%80",
    "%FF",
    "%20",
    "%0D%0A",
    "'",
    "1;drop",
    "%E2%80%A8",
    "x" * 5000,
    new_id().upper(),
    new_id()[:-1],
    new_id() + "0",
    "null",
    "-1",
    ";x=1",
)  # fmt: skip -- a list to read, not a column
NO_TIMES = (
    "2028-03-06T15:00:00",
    "2028-03-06",
    "2028-03-06 15:00:00Z",
    "infinity",
    "-infinity",
    "now",
    "",
    "1735689600",
    1735689600,
    1e30,
    "0000-03-06T15:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "12028-03-06T15:00:00Z",
    "2028-03-06T15:00:00+25:00",
    "2028-03-06T15:00:00-00:00",
    "2028-03-06T25:00:00Z",
    "2028-13-06T15:00:00Z",
    "2027-02-29T15:00:00Z",
    "2028-03-06T15:00:00[America/New_York]",
    "2028-W10-1T15:00:00Z",
    "\u0662\u0660\u0662\u0668-03-06T15:00:00Z",
    "2028-03-06T15:00:00.0000000001Z",
)  # fmt: skip -- as above
NO_ZONES = (
    "Nowhere/City",
    "localtime",
    "posixrules",
    "right/UTC",
    "../etc/passwd",
    "",
    " ",
    "UTC+3",
    "America/New_York ",
    "america/new_york",
    "\u2603",
    "x" * 300,
    "/etc/localtime",
)  # fmt: skip -- as above
FIRST = 1835913600000
A_DAY = 86_400_000
NO_RANGES = (
    (FIRST + 1, FIRST),
    (FIRST, FIRST),
    (-1, FIRST),
    (FIRST, FIRST + 32 * A_DAY),
    (0, FIRST),
    (10**20, 10**20 + 1),
    ("1.5", FIRST),
    ("infinity", FIRST),
    ("", FIRST),
    ("NaN", FIRST),
    ("2028-03-06", FIRST),
    (FIRST, "9" * 5000),
    ("\u0661", FIRST),
    (FIRST, "\x00"),
    (" ", FIRST),
)  # fmt: skip -- as above
NO_WORDS = ("\x00", "-1", "0", "1.5", "ten", "9" * 5000, "infinity", "", "'", "%", "\u2603", "[]")


async def test_what_is_no_json(offender: Offender) -> None:
    """The whole collection on one route, the heart of it on every route that takes a body."""
    todo = [("POST", BOOK, name) for name in MALFORMED]
    todo += [
        (route.method, path_of(route), name)
        for route in WITH_BODY
        for name in CORE
        if name != "an array" or not is_array(route)
    ]
    for method, path, name in todo:
        answer = await offender.send(method, path, MALFORMED[name])
        await offender.refused((method, path, name), answer, 400, 413, 422)
    large = await offender.send("POST", BOOK, io.BytesIO(b'"' + b"x" * 1_200_000 + b'"'))
    await offender.refused("too large", large, 413)


async def test_what_is_said_about_the_body(offender: Offender) -> None:
    """Other media types, charsets and encodings, and callers who do not say who they are."""
    for (name, (status, headers)), route in itertools.product(HEADERS.items(), WITH_BODY):
        answer = await offender.send(route.method, path_of(route), b"{}", headers=headers)
        await offender.refused((route.path, name), answer, status)


async def test_a_wrong_type_for_each_field(offender: Offender) -> None:
    """Every field of every body, nested ones included, is given each JSON type that it does not take."""
    for route in WITH_BODY:
        assert route.body is not None
        schema = TypeAdapter(route.body).json_schema(by_alias=True)
        for steps, wrong in wrong_values(schema, schema.get("$defs", {})):
            body = json.dumps(holding(steps, wrong)).encode()
            answer = await offender.send(route.method, path_of(route), body)
            where = ".".join(str(step) for step in steps)
            await offender.refused((route.path, where, wrong), answer, 422, path=where)


async def test_an_unknown_field(offender: Offender) -> None:
    """Also one that the server keeps for itself is none of the client's."""
    for route in WITH_BODY:
        for name in ("surprise", "id", "accountId", "version", "createdBy", "__proto__"):
            steps = [0, name] if is_array(route) else [name]
            body = json.dumps(holding(steps, "x")).encode()
            answer = await offender.send(route.method, path_of(route), body)
            where = ".".join(map(str, steps))
            await offender.refused((route.path, name), answer, 422, path=where)


async def test_times_that_are_none(offender: Offender) -> None:
    """Naive, infinite, numeric, out of range, or in another calendar than everybody's."""
    mine = f"{BOOK}/{new_id()}"
    for text, name in itertools.product(NO_TIMES, ("startTime", "endTime")):
        for method, path in (("POST", BOOK), ("PUT", mine)):
            answer = await offender.send(method, path, json.dumps({name: text}).encode())
            await offender.refused((method, name, text), answer, 422, path=name)
        key = json.dumps({"expiresAt": text}).encode()
        if text not in ("2028-03-06 15:00:00Z", 1735689600, "1735689600"):
            answer = await offender.send("POST", "/api-keys", key)
            await offender.refused(("expiresAt", text), answer, 422)
    ends = {"startTime": "2028-03-06T15:00:00Z", "endTime": "2028-03-06T15:00:00Z"}
    for end in ("2028-03-06T15:00:00Z", "2028-03-06T14:00:00Z", "2038-03-06T15:00:00Z"):
        body = json.dumps({**ends, "endTime": end}).encode()
        await offender.refused(("ends", end), await offender.send("PUT", mine, body), 422)


async def test_free_slots_of_no_range_and_no_zone(offender: Offender) -> None:
    """End before start, more than 31 days, no numbers, and zones that the IANA does not list."""
    calendar = offender.facts["calendar_id"]
    path = f"/calendars/{calendar}/free-slots"
    for start, end in NO_RANGES:
        query = {"startDate": str(start), "endDate": str(end)}
        answer = await offender.send("GET", path, query=query)
        await offender.refused((start, end), answer, 422)
    good = {"startDate": str(FIRST), "endDate": str(FIRST + A_DAY)}
    for zone in NO_ZONES:
        answer = await offender.send("GET", path, query={**good, "timezone": zone})
        await offender.refused(zone, answer, 422, path="timezone")
        body = json.dumps({"name": "x", "timeZone": zone}).encode()
        await offender.refused(zone, await offender.send("POST", "/locations/", body), 422)
    twice = f"{path}?startDate={FIRST}&startDate={FIRST}&endDate={FIRST + A_DAY}"
    await offender.refused("twice", await offender.send("GET", twice), 422, path="startDate")


async def test_any_word_in_any_query(offender: Offender) -> None:
    """Each parameter of each route is given words of all sorts: 2xx or 4xx, never a failure."""
    for route in ROUTES:
        for name, info in (route.query.model_fields if route.query else {}).items():
            for word in NO_WORDS:
                query = {info.alias or name: word}
                answer = await offender.send("GET", path_of(route), query=query)
                if answer.status >= 300:
                    await offender.refused((route.path, query), answer)


async def test_ids_that_cannot_be(offender: Offender) -> None:
    """In every path: encoded slashes, NUL, emoji, five kilobytes: unknown, like any other."""
    for route in ROUTES:
        if "{" not in route.path:
            continue
        before, _, rest = route.path.partition("{")
        after = rest.partition("}")[2]
        for text in NO_IDS:
            body = b"{}" if route.body else None
            answer = await offender.send(route.method, f"{before}{text}{after}", body)
            await offender.refused((route.method, route.path, text), answer, 400, 404, 405, 422)


async def test_paths_and_methods_that_are_not(offender: Offender) -> None:
    """404 for a path, 405 with `Allow` for a method; an overriding header overrides nothing."""
    for path in ("/nothing", "/calendars//", "/calendars/x/y/z", "/calendars.", "/%2e%2e/etc"):
        await offender.refused(path, await offender.send("GET", path), 404)
    for method in ("PATCH", "TRACE", "PROPFIND"):
        answer = await offender.send(method, BOOK)
        await offender.refused(method, answer, 405)
        if "POST" not in answer.headers.get("Allow", ""):
            offender.wrong.append((method, "does not say what is allowed", answer.headers))
    calendar = f"/calendars/{offender.facts['calendar_id']}"
    override = {"X-HTTP-Method-Override": "DELETE"}
    await offender.refused("override", await offender.send("POST", calendar, headers=override), 405)
    assert (await offender.send("GET", calendar)).status == 200
