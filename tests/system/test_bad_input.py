"""Whatever is sent, the answer is a 4xx in one shape; nothing is stored, nothing announced, nobody waits.

Which fields there are is taken from the models of the routes, so that a new one is tried out, too.
"""

import asyncio
import io
import itertools
import json
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout
from yarl import URL

from local.topology import SERVICES, service
from shared.http import Route
from shared.ids import new_id

pytestmark = pytest.mark.system

LONGEST_WAIT = 2.0  # seconds for /health/live meanwhile; 0.5 where nobody else uses the machine
ROUTES = [route for name in SERVICES for route in service(name).routes if route.scope]
WITH_BODY = [route for route in ROUTES if route.body]
BOOK = "/calendars/events/appointments"
OF_TYPE: Mapping[str, Any] = {
    "string": "\u2603",
    "number": 1.5,
    "boolean": True,
    "array": [[]],
    "object": {"x": 1},
    "null": None,
}

SHAPE = {"statusCode", "message", "error", "code", "details", "traceId"}
INSIDES = re.compile('Traceback|asyncpg|File "|pydantic')
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


@dataclass
class Answered:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class Offender:
    """Somebody who sends what he should not, and keeps what he was answered wrongly."""

    http: ClientSession
    base: str
    key: str
    facts: Mapping[str, Any]
    wrong: list[tuple[Any, ...]] = field(default_factory=list)
    sent: int = 0

    async def send(
        self,
        method: str,
        path: str,
        data: bytes | io.BytesIO | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        said = {"Version": "v3", "Authorization": f"Bearer {self.key}"}
        if data is not None:
            said["Content-Type"] = "application/json"
        said = {name: value for name, value in {**said, **(headers or {})}.items() if value}
        address = URL(self.base + path, encoded=True).update_query(query or {})
        self.sent += 1
        async with self.http.request(
            method,
            address,
            data=data,
            headers=said,
            allow_redirects=False,
            skip_auto_headers=["Content-Type"],
        ) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return Answered(
                response.status, json.loads(text) if is_json else text, response.headers.copy()
            )

    async def refused(
        self, what: object, answer: Answered, *statuses: int, path: str | None = None
    ) -> None:
        """Note it unless it is a 4xx (one of these) in our shape, naming the field at fault."""
        faults = list(_faults(answer))
        if answer.status not in (statuses or range(400, 500)):
            faults.append(f"status {answer.status}")
        named = [d["path"] for d in answer.body.get("details", ())] if not faults else []
        if path is not None and not any(one.startswith(path) for one in named):
            faults.append(f"does not name {path}: {named}")
        if faults:
            self.wrong.append((what, faults, str(answer.body)[:300]))


def _faults(answer: Answered) -> Iterator[str]:
    """Where a refusal is not as every refusal is."""
    body, status = answer.body, answer.status
    if not isinstance(body, dict) or not body.keys() >= SHAPE:
        yield "not in our shape"
        return
    phrase = "Unprocessable Entity" if status == 422 else HTTPStatus(status).phrase
    checks = {
        "statusCode": body["statusCode"] == status,
        "message": isinstance(body["message"], list if status == 422 else str),
        "error": body["error"] == phrase,
        "code": re.fullmatch("[a-z_]+", str(body["code"])),
        "details": all({"path", "code", "message"} <= detail.keys() for detail in body["details"]),
        "details of a 422": status != 422 or body["details"],
        "traceId": body["traceId"] == answer.headers.get("X-Trace-Id"),
        "insides": not INSIDES.search(str(body)),
    }
    yield from (name for name, good in checks.items() if not good)


@dataclass
class Pulse:
    """How long a service takes to say that it lives, asked every ten milliseconds."""

    longest: float = 0.0
    beats: int = 0

    async def feel(self, http: ClientSession, url: str, stop: asyncio.Event) -> None:
        while not stop.is_set():
            begun = time.monotonic()
            async with http.get(f"{url}/health/live") as response:
                assert response.status == 200
            self.longest = max(self.longest, time.monotonic() - begun)
            self.beats += 1
            await asyncio.sleep(0.01)


@pytest.fixture
async def offender(system: Any, eventually: Any, record_property: Any) -> AsyncIterator[Offender]:
    """Everything is as before when the test is over, and nobody had to wait meanwhile."""
    facts = system.facts
    await eventually(lambda: _quiet(system))
    before = await _everything(system)
    pulse, stop = Pulse(), asyncio.Event()
    limit = ClientTimeout(total=20)
    async with ClientSession(timeout=limit, trust_env=False) as http:
        one = Offender(http, facts["base_url"], facts["api_key"], facts)
        async with asyncio.TaskGroup() as tasks:
            for name in ("booking", "accounts"):
                tasks.create_task(pulse.feel(http, facts["services"][name]["url"], stop))
            try:
                yield one
            finally:
                stop.set()
    record_property("longest_wait_ms", round(pulse.longest * 1000))
    assert one.wrong == []
    assert one.sent
    assert await _everything(system) == before
    assert pulse.beats
    assert pulse.longest < LONGEST_WAIT


async def _quiet(system: Any) -> bool:
    """Nothing is on its way: no outbox row waits, no wish is due."""
    waiting = "SELECT 1 FROM outbox UNION ALL SELECT 1 FROM work WHERE status = 'due' AND next_attempt_at < clock_timestamp() + interval '5 s'"
    for name in system.facts["postgres"]:
        if await system.sql(name, waiting):
            return False
    first = await _everything(system)
    await asyncio.sleep(0.3)
    return await _everything(system) == first


async def _everything(system: Any) -> dict[str, int]:
    """How many rows each table of each service has, and how many events were ever announced."""
    found = {}
    for name in system.facts["postgres"]:
        tables = await system.sql(
            name, "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
        )
        names = [table["name"] for table in tables if table["name"] != "relay_lease"]
        counts = [f"SELECT '{t}' AS name, count(*) AS rows FROM {t}" for t in names]
        counts.append("SELECT 'announced', last_value FROM outbox_id_seq")
        rows = await system.sql(name, " UNION ALL ".join(counts))
        found |= {f"{name}.{row['name']}": row["rows"] for row in rows}
    return found


def _path(route: Route) -> str:
    """The route's path with ids that nobody has: what a body holds is looked at first."""
    steps = (new_id() if step.startswith("{") else step for step in route.path.split("/"))
    return "/".join(steps)


async def test_what_is_no_json(offender: Offender) -> None:
    """The whole collection on one route, the heart of it on every route that takes a body."""
    todo = [("POST", BOOK, name) for name in MALFORMED]
    todo += [(route.method, _path(route), name) for route in WITH_BODY for name in CORE]
    for method, path, name in todo:
        answer = await offender.send(method, path, MALFORMED[name])
        await offender.refused((method, path, name), answer, 400, 413, 422)
    large = await offender.send("POST", BOOK, io.BytesIO(b'"' + b"x" * 1_200_000 + b'"'))
    await offender.refused("too large", large, 413)


async def test_what_is_said_about_the_body(offender: Offender) -> None:
    """Other media types, charsets and encodings, and callers who do not say who they are."""
    for (name, (status, headers)), route in itertools.product(HEADERS.items(), WITH_BODY[:3]):
        answer = await offender.send(route.method, _path(route), b"{}", headers=headers)
        await offender.refused((route.path, name), answer, status)


async def test_a_wrong_type_for_each_field(offender: Offender) -> None:
    """Every field of every body, nested ones included, is given each JSON type that it does not take."""
    for route in WITH_BODY:
        assert route.body is not None
        schema = route.body.model_json_schema(by_alias=True)
        for steps, wrong in _wrong_values(schema, schema.get("$defs", {})):
            body = json.dumps(_holding(steps, wrong)).encode()
            answer = await offender.send(route.method, _path(route), body)
            where = ".".join(str(step) for step in steps)
            await offender.refused((route.path, where, wrong), answer, 422, path=where)


async def test_an_unknown_field(offender: Offender) -> None:
    """Also one that the server keeps for itself is none of the client's."""
    for route in WITH_BODY:
        for name in ("surprise", "id", "accountId", "version", "createdBy", "__proto__"):
            body = json.dumps({name: "x"}).encode()
            answer = await offender.send(route.method, _path(route), body)
            await offender.refused((route.path, name), answer, 422, path=name)


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
                answer = await offender.send("GET", _path(route), query=query)
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
    for path in ("/", "/nothing", "/calendars//", "/calendars/x/y/z", "/calendars.", "/%2e%2e/etc"):
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


def _wrong_values(
    schema: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[list[str | int], Any]]:
    """Where a field stands, and a value of a type that it does not take."""
    for name, said in schema.get("properties", {}).items():
        types = set(_types(said, known))
        for kind, value in OF_TYPE.items():
            if kind not in types:
                yield [name], value
        for steps, inner in _inner(said, known):
            for deeper, value in _wrong_values(inner, known):
                yield [name, *steps, *deeper], value


def _options(said: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a schema says, references followed and alternatives taken apart."""
    if "$ref" in said:
        yield from _options(known[said["$ref"].rpartition("/")[2]], known)
    elif "anyOf" in said:
        for one in said["anyOf"]:
            yield from _options(one, known)
    else:
        yield said


def _types(said: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    for option in _options(said, known):
        yield option["type"]


def _inner(
    said: Mapping[str, Any], known: Mapping[str, Any]
) -> Iterator[tuple[list[int], Mapping[str, Any]]]:
    """The objects in a field: itself, or the members of its array."""
    for option in _options(said, known):
        if option.get("type") == "object":
            yield [], option
        elif option.get("type") == "array":
            for item in _options(option["items"], known):
                if item.get("type") == "object":
                    yield [0], item


def _holding(steps: list[str | int], value: Any) -> Any:
    """`{"a": [{"b": value}]}` for the steps a, 0, b."""
    for step in reversed(steps):
        value = [value] if isinstance(step, int) else {step: value}
    return value
